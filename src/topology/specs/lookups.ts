import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { formatShape, type Shape } from "../../tensor.ts";
import { countAt, integerAt, isObject } from "../config-values.ts";
import type { LayerSpec, Refusal } from "../layer-spec.ts";
import { encodedShape, encoder, outputMode } from "./encoded-indices.ts";

/** @file Layers with a vocabulary (`keras/src/layers/preprocessing/index_lookup.py`, `text_vectorization.py`). */

/** Entry of a vocabulary. */
export type Token = string | number;

/** Vocabulary of a lookup layer and its position among the indices. */
export interface Vocabulary {
  readonly tokens: readonly Token[];
  /** Token that is masked, null if none is. */
  readonly maskToken: Token | null;
  readonly unknownToken: Token;
  /** True if index 0 stands for the mask token. */
  readonly masked: boolean;
  /** Number of indices before the first token that stand for unknown tokens. */
  readonly unknowns: number;
  /** True if the config lists the tokens for masks and unknown tokens too. */
  readonly listsSpecial: boolean;
}

/** Arguments that TextVectorization passes to its inner lookup and that its config does not have. */
const textTable: JsonObject = { num_oov_indices: 1, mask_token: "", oov_token: "[UNK]" };

/** Reads the vocabulary from a config, in which it may begin with the tokens for masks and unknown tokens. */
export function vocabularyOf(config: JsonObject): Vocabulary {
  const table: JsonObject = { ...textTable, ...config };
  const { mask_token, oov_token } = table;
  const masked = mask_token !== null && outputMode(config) === "int";
  const unknowns = integerAt(table, "num_oov_indices");
  const special = [...(masked ? [mask_token] : []), ...Array.from({ length: unknowns }, () => oov_token)];
  const given = config["vocabulary"] as readonly Token[];
  const listsSpecial = special.every((token, index) => token === given[index]);
  return {
    tokens: listsSpecial ? given.slice(special.length) : given,
    maskToken: mask_token as Token | null,
    unknownToken: oov_token as Token,
    masked,
    unknowns,
    listsSpecial,
  };
}

/** Returns the width of a row that counts tokens. */
export function lookupDepth(config: JsonObject): number {
  if (config["pad_to_max_tokens"] === true) return countAt(config, "max_tokens");
  const { tokens, unknowns } = vocabularyOf(config);
  return tokens.length + unknowns;
}

/**
 * Returns the idf weight of each counted index, an empty list if the config has none. Unknown tokens have the average
 * weight unless the config lists them.
 */
export function idfWeightsOf(config: JsonObject): number[] {
  const given = (config["idf_weights"] ?? []) as readonly number[];
  if (given.length === 0) return [];
  const { unknowns, listsSpecial } = vocabularyOf(config);
  const average = given.reduce((sum, weight) => sum + weight, 0) / given.length;
  const known = [...(listsSpecial ? [] : new Array<number>(unknowns).fill(average)), ...given];
  return Array.from({ length: lookupDepth(config) }, (_, index) => known[index] ?? 0);
}

const lookupDefaults: JsonObject = {
  max_tokens: null,
  num_oov_indices: 1,
  mask_token: null,
  vocabulary: null,
  idf_weights: null,
  invert: false,
  output_mode: "int",
  pad_to_max_tokens: false,
  oov_method: "floormod",
  salt: null,
};

function withoutVocabulary(className: string): (config: JsonObject) => Refusal | undefined {
  const given = (values: string): string =>
    `Pass it when you create the layer, ${className}(${values}), and save the model again, or save it as .keras with Keras 2.13 or later.`;
  return (config) => {
    const { vocabulary, idf_weights } = config;
    if (typeof vocabulary === "string") {
      return {
        reason: `its vocabulary is in a separate file, ${vocabulary}`,
        advice: given("vocabulary=layer.get_vocabulary()"),
      };
    }
    if (!Array.isArray(vocabulary)) {
      return {
        reason: "its vocabulary is not in the file",
        advice: given("vocabulary=layer.get_vocabulary()"),
      };
    }
    if (config["output_mode"] === null) {
      return {
        reason: "its output is ragged",
        advice: "Use another output_mode and save the model again.",
      };
    }
    if (outputMode(config) !== "tf_idf" || Array.isArray(idf_weights)) return undefined;
    return {
      reason: "its idf weights are not in the file",
      advice: given("vocabulary=…, idf_weights=…"),
    };
  };
}

function lookup(className: string, defaults: JsonObject): LayerSpec {
  return encoder(className, { ...lookupDefaults, ...defaults }, lookupDepth, withoutVocabulary(className));
}

const integerLookup = lookup("IntegerLookup", { oov_token: -1 });

const stringLookup: LayerSpec = {
  ...lookup("StringLookup", { oov_token: "[UNK]" }),
  outputDTypes: ({ config }) => {
    if (config["invert"] === true) return ["string"];
    return [outputMode(config) === "int" ? "int32" : "float32"];
  },
};

/** Returns the widths of n-grams: `[1, 2]` for the number 2, undefined if texts are split into single tokens. */
export function ngramWidths(config: JsonObject): readonly number[] | undefined {
  const ngrams = config["ngrams"];
  if (typeof ngrams === "number") return Array.from({ length: ngrams }, (_, index) => index + 1);
  return Array.isArray(ngrams) ? (ngrams as readonly number[]) : undefined;
}

const standardizations: readonly Json[] = [null, "lower_and_strip_punctuation", "lower", "strip_punctuation"];
const splits: readonly Json[] = [null, "whitespace", "character"];

function textRefusal(config: JsonObject): Refusal | undefined {
  const missing = withoutVocabulary("TextVectorization")(config);
  if (missing) return missing;
  for (const [argument, known] of [
    ["standardize", standardizations],
    ["split", splits],
  ] as const) {
    const value = config[argument] ?? null;
    if (!known.includes(value)) {
      return {
        reason: `its ${argument} ${nameOf(value)} is Python code`,
        advice: `Use one that Keras has a name for, or apply it before the text enters the model, with ${argument}=None, and save the model again.`,
      };
    }
  }
  if (config["ragged"] === true) {
    return {
      reason: "its output is ragged",
      advice: "Remove ragged=True, set output_sequence_length, and save the model again.",
    };
  }
  if (outputMode(config) !== "one_hot") return undefined;
  return {
    reason: 'output_mode "one_hot" is not one of TextVectorization',
    advice: "Use multi_hot and save the model again.",
  };
}

/** Returns the name of a function that Keras wrote as a name or as an object. */
function nameOf(value: Json): string {
  const name = isObject(value) ? value["config"] : value;
  return typeof name === "string" ? name : JSON.stringify(value).slice(0, 80);
}

const textVectorization: LayerSpec = {
  className: "TextVectorization",
  defaults: {
    max_tokens: null,
    vocabulary: null,
    idf_weights: null,
    output_mode: "int",
    pad_to_max_tokens: false,
    standardize: "lower_and_strip_punctuation",
    split: "whitespace",
    ngrams: null,
    output_sequence_length: null,
    ragged: false,
  },
  outputShapes: ({ config, inputs }) => [textShape(config, inputs[0])],
  outputDTypes: ({ config }) => [outputMode(config) === "int" ? "int32" : "float32"],
  refusal: textRefusal,
};

function textShape(config: JsonObject, input: Shape): Shape {
  const [batch = null, ...rest] = input;
  const tokens = config["split"] === null;
  if (tokens ? rest.length !== 1 : rest.length > 1 || (rest[0] ?? 1) !== 1) {
    throw new TopologyError(
      `inputs: expected ${tokens ? "[None,tokens]" : "[None] or [None,1]"}, got ${formatShape(input)}.`,
      "shape",
    );
  }
  if (outputMode(config) !== "int") return encodedShape([batch, null], "count", lookupDepth(config));
  const length = config["output_sequence_length"] as number | null;
  return [batch, length ?? (tokens && !ngramWidths(config) ? (rest[0] ?? null) : null)];
}

/**
 * TextTokens, a part of what a preprocessor of KerasHub makes of texts (`keras_hub/src/models/text_classifier_preprocessor.py`):
 * `token_ids`, `padding_mask` or `segment_ids`. It stands for the model's inputs while a run reads texts, and is never written.
 */
const textTokens: LayerSpec = {
  className: "TextTokens",
  defaults: {},
  outputShapes: ({ config, inputs }) => [[inputs[0][0] ?? null, countAt(config, "sequence_length")]],
  outputDTypes: () => ["int32"],
};

export const lookupSpecs: readonly LayerSpec[] = [integerLookup, stringLookup, textVectorization, textTokens];
