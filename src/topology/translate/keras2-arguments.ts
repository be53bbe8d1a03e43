import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { optionSetTo } from "../../options.ts";
import { isObject } from "../config-values.ts";
import { formerLayers } from "../dialects/class-names.ts";
import { kindOfNode } from "../dialects/node-def.ts";

/**
 * @file The arguments that Keras 2 layers have and Keras 3's do not, by class, and what becomes of them. Compared with every
 * layer of Keras 2.2.4 and 2.15: what is not listed is spelled alike.
 */

/** What Keras 3 calls the class of a layer, and its arguments. */
export interface TranslatedLayer {
  readonly className: string;
  readonly config: JsonObject;
}

interface Rule {
  /** Keras 3's name of the class, if it has another. */
  readonly className?: string;
  /** Arguments without a counterpart that change nothing in a loaded model. */
  readonly dropped?: readonly string[];
  /** Dropped ones that Keras 2 reads nothing of either, and that keep Keras 3 from opening an .h5: no file needs them. */
  readonly idle?: readonly string[];
  /** Arguments without a counterpart that can be left out at one value only, Keras 2's default. */
  readonly only?: JsonObject;
  readonly renamed?: Readonly<Record<string, string>>;
  /** What Keras 2 meant where it wrote nothing and Keras 3 means something else. */
  readonly absent?: JsonObject;
  /** What Keras 3 insists on. */
  readonly forced?: (config: JsonObject) => JsonObject;
}

const separable: Rule = {
  idle: ["kernel_initializer", "kernel_regularizer", "kernel_constraint"],
  only: { groups: 1 },
};
const ungrouped: Rule = { only: { groups: 1 } };
const recurrent: Rule = { dropped: ["implementation"], only: { time_major: false } };
const convolvedSteps: Rule = { idle: ["implementation"], only: { time_major: false } };
const spatialDropout: Rule = { idle: ["trainable", "noise_shape", "batch_input_shape"] };
const lookup: Rule = { dropped: ["vocabulary_size"], idle: ["batch_input_shape"] };
const batchNormalization: Rule = {
  className: "BatchNormalization",
  idle: ["fused"],
  only: { virtual_batch_size: null, adjustment: null },
};

const rules: Readonly<Record<string, Rule>> = {
  BatchNormalization: batchNormalization,
  BatchNormalizationV1: batchNormalization,
  BatchNormalizationV2: batchNormalization,
  Conv1DTranspose: ungrouped,
  Conv2DTranspose: ungrouped,
  Conv3DTranspose: ungrouped,
  DepthwiseConv1D: ungrouped,
  DepthwiseConv2D: ungrouped,
  SeparableConv1D: separable,
  SeparableConv2D: separable,
  ConvLSTM1D: convolvedSteps,
  ConvLSTM2D: convolvedSteps,
  ConvLSTM3D: convolvedSteps,
  RNN: recurrent,
  SimpleRNN: convolvedSteps,
  LSTM: recurrent,
  GRU: { ...recurrent, absent: { reset_after: false } },
  SimpleRNNCell: recurrent,
  LSTMCell: recurrent,
  GRUCell: { ...recurrent, absent: { reset_after: false } },
  Discretization: { idle: ["trainable", "batch_input_shape"] },
  Embedding: { dropped: ["input_length"] },
  Hashing: { forced: wholeNumbers },
  IntegerLookup: lookup,
  StringLookup: lookup,
  TextVectorization: { dropped: ["vocabulary_size"] },
  Attention: { only: { causal: false } },
  AdditiveAttention: { only: { causal: false } },
  LeakyReLU: { renamed: { alpha: "negative_slope" } },
  MultiHeadAttention: { dropped: ["query_shape", "key_shape", "value_shape"] },
  SpatialDropout1D: spatialDropout,
  SpatialDropout2D: spatialDropout,
  SpatialDropout3D: spatialDropout,
};

/**
 * A Keras 2 layer in Keras 3's words, apart from the objects among its arguments.
 * @throws {TopologyError} naming the layer, where Keras 3 has no such layer or no such argument.
 */
export function keras3Arguments(path: string, className: string, config: JsonObject): TranslatedLayer {
  if (formerLayers.has(className)) {
    throw new TopologyError(
      `${path}: ${className}${functionIn(config)}: Keras 3 has no such layer, so a .keras file cannot hold it. Write .h5 (${optionSetTo("outputFormat", "h5")}).`,
      "untranslatable",
    );
  }
  const rule = rules[className] ?? {};
  const entries: [string, Json][] = [];
  for (const [key, written] of Object.entries(config)) {
    const value = plainValue(written);
    if (key === "batch_input_shape" || key === "batch_size") continue;
    if (rule.dropped?.includes(key) || rule.idle?.includes(key)) continue;
    if (rule.only && key in rule.only) {
      if (value === rule.only[key]) continue;
      throw new TopologyError(
        `${path}: ${className}: ${key}: Keras 3 knows only ${JSON.stringify(rule.only[key])}, got ${JSON.stringify(value)}. Write .h5 (${optionSetTo("outputFormat", "h5")}).`,
        "untranslatable",
      );
    }
    entries.push([rule.renamed?.[key] ?? key, key === "axis" ? loneAxis(className, value) : value]);
  }
  return {
    className: rule.className ?? className,
    // Spread first, so that numbers keep the spelling that the config remembers for them.
    config: {
      ...rule.absent,
      ...keepSpelling(config, Object.fromEntries(entries)),
      ...rule.forced?.(config),
    },
  };
}

/** Before Keras 2.6 whole numbers had the dtype of layers at large. */
function wholeNumbers({ dtype = null, output_mode = "int" }: JsonObject): JsonObject {
  return output_mode === "int" && dtype === "float32" ? { dtype: "int64" } : {};
}

/** The arguments without those that Keras 2 has no use for, and Keras 3 refuses in an `.h5`. @param keep Left in all the same. */
export function withoutIdleArguments(
  className: string,
  config: JsonObject,
  keep: readonly string[],
): JsonObject {
  const { idle = [], only = {} } = rules[className] ?? {};
  const left = Object.entries(config).filter(
    ([key, value]) =>
      keep.includes(key) || !(idle.includes(key) || (key in only && plainValue(value) === only[key])),
  );
  return left.length === Object.keys(config).length ? config : keepSpelling(config, Object.fromEntries(left));
}

/** Where a layer's config has a layer inside it; an activation may be one. */
export const insideKeys: readonly string[] = ["layer", "backward_layer", "cell", "activation"];

/** Why Keras 3 does not open an `.h5` with this Keras 2 layer; undefined where its class and arguments are no reason. */
export function refusalInH5(className: string, config: JsonObject): string | undefined {
  if (formerLayers.has(className)) return "Keras 3 has no such layer";
  if (className === "MultiHeadAttention") return "Keras 3 does not know the shapes that it was built for";
  if (["tf_idf", "tf-idf"].includes(String(config["output_mode"])))
    return "Keras 3 has no place for its idf weights";
  const rule = rules[className] ?? {};
  if (rule.className !== undefined && rule.className !== className)
    return `Keras 3 calls it ${rule.className}`;
  const unsaid = Object.keys(rule.absent ?? {}).find((key) => !(key in config));
  if (unsaid) return `Keras 3 takes another ${unsaid}`;
  if (Object.keys(rule.forced?.(config) ?? {}).length > 0) return "Keras 3 takes another dtype";
  const refused = Object.keys(config).find(
    (key) => rule.idle?.includes(key) || (rule.only && key in rule.only),
  );
  return refused && `Keras 3 knows no ${refused}`;
}

/** ` of signal.fft`, the function of TensorFlow that a layer calls, or the kind of node that it is. */
function functionIn(config: JsonObject): string {
  const name = kindOfNode(config) ?? config["function"];
  return typeof name === "string" ? ` of ${name}` : "";
}

/** Only the given entries, on a copy that carries along what else the config's object holds (its numbers' spelling). */
function keepSpelling(config: JsonObject, entries: JsonObject): JsonObject {
  const copy: Record<string, Json> = { ...config };
  for (const key of Object.keys(copy)) if (!(key in entries)) delete copy[key];
  return Object.assign(copy, entries);
}

/** BatchNormalization's axis was a list in TensorFlow's Keras 2. */
export function loneAxis(className: string, axis: Json): Json {
  if (!className.startsWith("BatchNormalization") || !Array.isArray(axis)) return axis;
  const [first, ...rest]: readonly Json[] = axis;
  return rest.length === 0 && typeof first === "number" ? first : axis;
}

/** Keras 2.2 wrote some numbers as arrays without dimensions. */
function plainValue(value: Json): Json {
  return isObject(value) && value["type"] === "ndarray" && "value" in value
    ? (value["value"] ?? null)
    : value;
}
