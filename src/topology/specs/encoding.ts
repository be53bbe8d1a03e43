import type { Json, JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { countAt, integerAt, stringAt } from "../config-values.ts";
import type { LayerSpec, Refusal } from "../layer-spec.ts";

/** Layers that make whole numbers of numbers, and rows of zeros and ones of those (`keras/src/layers/preprocessing`). */

/** The output of whole numbers of this shape encoded in a row of `depth`. */
function encodedShape(input: Shape, mode: string, depth: number): Shape {
  if (mode === "int") return input;
  if (mode === "one_hot") {
    return input.length > 1 && input.at(-1) === 1 ? [...input.slice(0, -1), depth] : [...input, depth];
  }
  return [...input.filter((_, axis) => axis !== Math.min(1, input.length - 1)), depth];
}

function encoder(
  className: string,
  defaults: JsonObject,
  depthOf: (config: JsonObject) => number,
  refusal?: (config: JsonObject) => Refusal | undefined,
): LayerSpec {
  return {
    className,
    defaults,
    outputShapes: ({ config, inputs }) => {
      const mode = outputMode(config);
      return [encodedShape(inputs[0]!, mode, mode === "int" ? 0 : depthOf(config))];
    },
    outputDTypes: ({ config }) => [outputMode(config) === "int" ? "int32" : "float32"],
    refusal: (config) => refusal?.(config),
  };
}

/** `int`, `one_hot`, `multi_hot` or `count`; `binary` was the name of the third before Keras 2.6. */
export function outputMode(config: JsonObject): string {
  const mode = stringAt(config, "output_mode");
  return mode === "binary" ? "multi_hot" : mode;
}

const discretization = encoder(
  "Discretization",
  { output_mode: "int" },
  (config) => (config["bin_boundaries"] as readonly Json[]).length + 1,
  ({ bin_boundaries }) =>
    Array.isArray(bin_boundaries)
      ? undefined
      : {
          reason: "its bin boundaries are not in the file",
          advice: "Give it bin_boundaries when it is made and save again.",
        },
);

const hashing = encoder(
  "Hashing",
  { mask_value: null, salt: null, output_mode: "int" },
  (config) => countAt(config, "num_bins"),
  ({ mask_value }) =>
    typeof mask_value === "string"
      ? { reason: "its mask value is a string", advice: "Hash whole numbers and save again." }
      : undefined,
);

/** The vocabulary of an IntegerLookup and where it starts among the indices. */
export interface Vocabulary {
  readonly tokens: readonly number[];
  /** Whether index 0 stands for the mask token. */
  readonly masked: boolean;
  /** How many indices before the first token stand for unknown ones. */
  readonly unknowns: number;
}

/** `index_lookup.py`: the vocabulary may begin with the tokens for masks and unknowns. */
export function vocabularyOf(config: JsonObject): Vocabulary {
  const { mask_token, oov_token, vocabulary } = config;
  const masked = mask_token !== null && outputMode(config) === "int";
  const unknowns = integerAt(config, "num_oov_indices");
  const special = [...(masked ? [mask_token] : []), ...Array.from({ length: unknowns }, () => oov_token)];
  const given = vocabulary as readonly number[];
  const named = special.length > 0 && special.every((token, index) => token === given[index]);
  return { tokens: named ? given.slice(special.length) : given, masked, unknowns };
}

const integerLookup = encoder(
  "IntegerLookup",
  {
    max_tokens: null,
    num_oov_indices: 1,
    mask_token: null,
    oov_token: -1,
    vocabulary: null,
    invert: false,
    output_mode: "int",
    pad_to_max_tokens: false,
    oov_method: "floormod",
    salt: null,
  },
  (config) => {
    if (config["pad_to_max_tokens"] === true) return countAt(config, "max_tokens");
    const { tokens, unknowns } = vocabularyOf(config);
    return tokens.length + unknowns;
  },
  (config) => {
    if (!Array.isArray(config["vocabulary"])) {
      return {
        reason: "its vocabulary is not in the config",
        advice: "Give it when it is made, IntegerLookup(vocabulary=layer.get_vocabulary()), and save again.",
      };
    }
    const mode = String(config["output_mode"]);
    if (!/tf[-_]idf/.test(mode)) return undefined;
    return { reason: `output_mode "${mode}" is not supported`, advice: "Use count and save again." };
  },
);

/** Two columns of whole numbers as one. */
const hashedCrossing = encoder("HashedCrossing", { output_mode: "int" }, (config) =>
  countAt(config, "num_bins"),
);

/** `category_encoding.py`: multi_hot and count run over the last axis, of inputs of rank 1 or 2. */
const categoryEncoding: LayerSpec = {
  ...encoder("CategoryEncoding", { output_mode: "multi_hot" }, (config) => countAt(config, "num_tokens")),
  outputDTypes: () => ["float32"],
};

export const encodingSpecs: readonly LayerSpec[] = [
  discretization,
  categoryEncoding,
  integerLookup,
  hashing,
  hashedCrossing,
];
