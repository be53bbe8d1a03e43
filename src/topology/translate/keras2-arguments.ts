import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { optionSetTo } from "../../options.ts";
import { isObject } from "../config-values.ts";
import { formerLayers } from "../dialects/class-names.ts";
import { kindOfNode } from "../dialects/node-def.ts";

/**
 * @file Translates the arguments that layers of Keras 2 have and those of Keras 3 do not. Compared with every layer of
 * Keras 2.2.4 and 2.15: arguments that are not listed have the same name and values in both.
 */

/** Class name and config of a layer in Keras 3. */
export interface TranslatedLayer {
  readonly className: string;
  readonly config: JsonObject;
}

interface Rule {
  /** Keras 3's name of the class if it differs. */
  readonly className?: string;
  /** Arguments that Keras 3 does not have and that change nothing in a loaded model. */
  readonly dropped?: readonly string[];
  /**
   * Arguments like `dropped` that Keras 2 ignores too, and that keep Keras 3 from opening an `.h5`. No file needs them.
   */
  readonly idle?: readonly string[];
  /** Arguments that Keras 3 does not have, by the value at which they can be left out, which is Keras 2's default. */
  readonly only?: JsonObject;
  /** New name by old name of arguments. */
  readonly renamed?: Readonly<Record<string, string>>;
  /** Values of arguments that are missing from the config, where the defaults of Keras 2 and 3 differ. */
  readonly absent?: JsonObject;
  /** Returns arguments with the values that Keras 3 requires. */
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
 * Translates a Keras 2 layer to Keras 3, except for serialized objects among its arguments.
 * @throws {TopologyError} naming the layer, if Keras 3 has no such layer or argument.
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
        `${path}: ${className}: ${key}: expected ${JSON.stringify(rule.only[key])}, the only value that Keras 3 supports, got ${JSON.stringify(value)}. Write .h5 (${optionSetTo("outputFormat", "h5")}).`,
        "untranslatable",
      );
    }
    entries.push([rule.renamed?.[key] ?? key, key === "axis" ? loneAxis(className, value) : value]);
  }
  return {
    className: rule.className ?? className,
    config: {
      ...rule.absent,
      ...withEntries(config, Object.fromEntries(entries)),
      ...rule.forced?.(config),
    },
  };
}

/**
 * Returns the dtype int64 for a layer with integer outputs, which had the default dtype of all layers before Keras 2.6.
 */
function wholeNumbers({ dtype = null, output_mode = "int" }: JsonObject): JsonObject {
  return output_mode === "int" && dtype === "float32" ? { dtype: "int64" } : {};
}

/**
 * Removes the arguments that Keras 2 ignores and that keep Keras 3 from opening an `.h5`.
 * @param keep Arguments that stay in any case.
 */
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
  return left.length === Object.keys(config).length ? config : withEntries(config, Object.fromEntries(left));
}

/** Keys of a layer's config that may hold another layer. */
export const insideKeys: readonly string[] = ["layer", "backward_layer", "cell", "activation"];

/** Returns why Keras 3 cannot open an `.h5` with this Keras 2 layer, undefined if its class and arguments allow it. */
export function refusalInH5(className: string, config: JsonObject): string | undefined {
  if (formerLayers.has(className)) return "Keras 3 has no such layer";
  if (className === "MultiHeadAttention")
    return "Keras 3 does not read the input shapes that it was built for";
  if (["tf_idf", "tf-idf"].includes(String(config["output_mode"])))
    return "Keras 3 has no variable for its idf weights";
  const rule = rules[className] ?? {};
  if (rule.className !== undefined && rule.className !== className)
    return `Keras 3 calls its class ${rule.className}`;
  const missing = Object.keys(rule.absent ?? {}).find((key) => !(key in config));
  if (missing) return `Keras 3 has another default of ${missing}`;
  if (Object.keys(rule.forced?.(config) ?? {}).length > 0) return "Keras 3 requires another dtype";
  const refused = Object.keys(config).find(
    (key) => rule.idle?.includes(key) || (rule.only && key in rule.only),
  );
  return refused && `Keras 3 has no argument ${refused}`;
}

/**
 * Returns ` of signal.fft` for a layer that calls this function of TensorFlow, ` of` and its kind for a node, else
 * nothing.
 */
function functionIn(config: JsonObject): string {
  const name = kindOfNode(config) ?? config["function"];
  return typeof name === "string" ? ` of ${name}` : "";
}

/**
 * Copies the config with these entries only. The copy keeps the symbol properties that preserve how numbers are
 * spelled.
 */
function withEntries(config: JsonObject, entries: JsonObject): JsonObject {
  const copy: Record<string, Json> = { ...config };
  for (const key of Object.keys(copy)) if (!(key in entries)) delete copy[key];
  return Object.assign(copy, entries);
}

/** Unwraps BatchNormalization's axis, which TensorFlow's Keras 2 writes as a list of one. */
export function loneAxis(className: string, axis: Json): Json {
  if (!className.startsWith("BatchNormalization") || !Array.isArray(axis)) return axis;
  const [first, ...rest]: readonly Json[] = axis;
  return rest.length === 0 && typeof first === "number" ? first : axis;
}

/** Unwraps numbers that Keras 2.2 wrote as arrays without dimensions. */
function plainValue(value: Json): Json {
  return isObject(value) && value["type"] === "ndarray" && "value" in value
    ? (value["value"] ?? null)
    : value;
}
