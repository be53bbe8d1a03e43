import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import { dropped, renamed, withObjects } from "./keras1-objects.ts";

/**
 * @file Translates the layers of Keras 1 to Keras 2 as Keras 2's `keras/legacy/interfaces.py` does. Arguments in Keras
 * 2's vocabulary are unchanged.
 */

/** Data format of images in Keras 1: `th` has channels first. Only some layers record it. */
export type DimOrdering = "th" | "tf";

interface Translated {
  readonly class_name: string;
  readonly config: JsonObject;
}

/** Returns the layer's class and config in Keras 2. @throws {TopologyError} for a feature that Keras 2 dropped. */
export function keras2Layer(className: string, config: JsonObject, path: string): Translated {
  const common = renamed(config, commonNames);
  const rule = rules[className];
  const translated = rule ? rule(common, { className, path }) : { class_name: className, config: common };
  return { ...translated, config: withObjects(translated.config, path) };
}

interface Place {
  readonly className: string;
  readonly path: string;
}

type Rule = (config: JsonObject, place: Place) => Translated;

const commonNames: Readonly<Record<string, string>> = {
  border_mode: "padding",
  subsample: "strides",
  dim_ordering: "data_format",
  bias: "use_bias",
  W_regularizer: "kernel_regularizer",
  W_constraint: "kernel_constraint",
  b_regularizer: "bias_regularizer",
  b_constraint: "bias_constraint",
  U_regularizer: "recurrent_regularizer",
  inner_init: "recurrent_initializer",
  inner_activation: "recurrent_activation",
  dropout_W: "dropout",
  dropout_U: "recurrent_dropout",
  atrous_rate: "dilation_rate",
};

function without(config: JsonObject, ...keys: readonly string[]): JsonObject {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !keys.includes(key)));
}

/** Joins several arguments into one list, such as `nb_row` and `nb_col` into `kernel_size`. */
function joined(config: JsonObject, keys: readonly string[], name: string): JsonObject {
  const [first] = keys;
  if (first === undefined || !(first in config)) return config;
  return { ...without(config, ...keys), [name]: keys.map((key) => config[key] ?? null) };
}

function named(className: string, names: Readonly<Record<string, string>>, absent: JsonObject = {}): Rule {
  return (config) => ({ class_name: className, config: { ...absent, ...renamed(config, names) } });
}

const kernelSizes = {
  1: ["filter_length"],
  2: ["nb_row", "nb_col"],
  3: ["kernel_dim1", "kernel_dim2", "kernel_dim3"],
} as const;

function convolution(className: string, rank: 1 | 2 | 3, dilated = false): Rule {
  const sizes = kernelSizes[rank];
  return (config, { path }) => {
    const listed = joined(joined(config, sizes, "kernel_size"), ["subsample_length"], "strides");
    const { dilation_rate: rate, ...rest } = renamed(
      rank === 1 ? without(listed, "input_dim", "input_length") : listed,
      { nb_filter: "filters", init: "kernel_initializer" },
    );
    if (rest["padding"] === "full") throw dropped(path, 'padding "full"');
    const dilation = typeof rate === "number" && rank === 1 ? [rate] : rate;
    return {
      class_name: className,
      config: dilated && dilation !== undefined ? { ...rest, dilation_rate: dilation } : rest,
    };
  };
}

/** Keras 1 writes the output shape, batch included. Keras 2 infers it except for what `output_padding` determines. */
const deconvolution: Rule = (config, place) => {
  const { class_name, config: own } = convolution("Conv2DTranspose", 2)(config, place);
  return { class_name, config: { ...without(own, "output_shape"), ...outputPadding(own) } };
};

/** Returns the `output_padding` if the output has more rows or columns than Keras 2 infers. */
function outputPadding({ output_shape, kernel_size, strides, padding, data_format }: JsonObject): JsonObject {
  if (![output_shape, kernel_size, strides].every(Array.isArray)) return {};
  const sizes = (output_shape as readonly Json[]).slice(data_format === "th" ? 2 : 1).map(Number);
  const more = [0, 1].map((axis) => {
    const [size, kernel, stride] = [sizes, kernel_size, strides].map((list) =>
      Number((list as readonly Json[])[axis]),
    ) as [number, number, number];
    // Of `(input - 1) * stride + kernel - 2 * margin` plus the output padding only the remainder by the stride matters.
    const least = padding === "same" ? kernel % 2 : kernel;
    const usual = padding === "same" ? size % stride === 0 : (size - Math.max(kernel, stride)) % stride === 0;
    return { usual, padding: (size - least + stride * kernel) % stride };
  });
  if (more.every(({ usual }) => usual) || more.some((axis) => Number.isNaN(axis.padding))) return {};
  return { output_padding: more.map((axis) => axis.padding) };
}

const separable: Rule = (config, place) => {
  const { class_name, config: own } = convolution("SeparableConv2D", 2)(config, place);
  const { kernel_initializer: init, ...rest } = own;
  return {
    class_name,
    config: init === undefined ? own : { ...rest, depthwise_initializer: init, pointwise_initializer: init },
  };
};

/** Arguments that recurrent layers of Keras 2 do not have. */
const recurrentKeys = ["consume_less", "input_dim", "input_length", "forget_bias_init"];

function recurrent(absent: JsonObject = {}): Rule {
  return (config, { className }) => {
    const forget = config["forget_bias_init"];
    const own = {
      ...absent,
      ...renamed(without(config, ...recurrentKeys), {
        output_dim: "units",
        init: "kernel_initializer",
      }),
    };
    return {
      class_name: className,
      config: forget === undefined ? own : { ...own, unit_forget_bias: forget === "one" },
    };
  };
}

const convolutionLstm: Rule = (config, place) => {
  const { config: own } = recurrent()(config, place);
  const sized = joined(own, ["nb_row", "nb_col"], "kernel_size");
  return { class_name: "ConvLSTM2D", config: renamed(sized, { nb_filter: "filters" }) };
};

const dense: Rule = (config) => ({
  class_name: "Dense",
  config: renamed(without(config, "input_dim", "input_length"), {
    output_dim: "units",
    init: "kernel_initializer",
  }),
});

const embedding: Rule = (config) => ({
  class_name: "Embedding",
  config: renamed(without(config, "dropout"), {
    init: "embeddings_initializer",
    kernel_regularizer: "embeddings_regularizer",
    kernel_constraint: "embeddings_constraint",
  }),
});

const batchNormalization: Rule = (config, { path }) => {
  const { mode, ...rest } = config;
  if (mode !== undefined && mode !== 0) {
    throw dropped(path, `mode ${JSON.stringify(mode)} (statistics of each sample or of each batch)`);
  }
  return { class_name: "BatchNormalization", config: rest };
};

function pooling(className: string, rank: number): Rule {
  return (config) => {
    const own =
      rank === 1 ? joined(joined(config, ["pool_length"], "pool_size"), ["stride"], "strides") : config;
    return { class_name: className, config: own };
  };
}

const mergeClasses: Readonly<Record<string, string>> = {
  sum: "Add",
  mul: "Multiply",
  ave: "Average",
  max: "Maximum",
};

const mergeKeys =
  "mode mode_type concat_axis dot_axes output_shape output_shape_type output_mask output_mask_type arguments layers";

/** Keras 2 has a class for each mode of Merge. A mode that is a function is Python code. */
const merge: Rule = (config) => {
  const { mode, concat_axis, dot_axes } = config;
  const rest = without(config, ...mergeKeys.split(" "));
  const simple =
    typeof mode === "string" && config["mode_type"] !== "function" ? mergeClasses[mode] : undefined;
  if (simple !== undefined) return { class_name: simple, config: rest };
  if (mode === "concat") return { class_name: "Concatenate", config: { ...rest, axis: concat_axis ?? -1 } };
  if (mode === "dot" || mode === "cos") {
    return { class_name: "Dot", config: { ...rest, axes: dot_axes ?? -1, normalize: mode === "cos" } };
  }
  return { class_name: "Lambda", config };
};

const sides2D = ["top_pad", "bottom_pad", "left_pad", "right_pad"];

/** Padding is `{ left_pad }`, `[top, bottom, left, right]`, or a form that Keras 2 also has. */
const zeroPadding: Rule = (config, { className }) => {
  const { padding } = config;
  const names = className === "ZeroPadding1D" ? ["left_pad", "right_pad"] : sides2D;
  const sides = isObject(padding) ? names.map((name) => padding[name] ?? 0) : padding;
  const isFour = Array.isArray(sides) && sides.length === 4;
  const [top = 0, bottom = 0, left = 0, right = 0]: readonly Json[] = isFour
    ? (sides as readonly Json[])
    : [];
  const margins = isFour
    ? [
        [top, bottom],
        [left, right],
      ]
    : (sides ?? 1);
  return { class_name: className, config: { ...config, padding: margins } };
};

const inputLayer: Rule = (config) => ({
  class_name: "InputLayer",
  config: renamed(config, { input_dtype: "dtype" }),
});

const wrapper: Rule = (config, { className, path }) => {
  const { layer } = config;
  if (isObject(layer) && Array.isArray(layer["config"])) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const layers = (layer["config"] as readonly Json[]).filter(isObject).map((inner) => {
      const own = isObject(inner["config"]) ? inner["config"] : {};
      if (own["dim_ordering"] === "th") throw dropped(path, "an inner model in channels_first format");
      return { ...inner, ...keras2Layer(String(inner["class_name"]), own, path) };
    });
    const model = { name: `${name}_model`, layers };
    return { class_name: className, config: { ...config, layer: { ...layer, config: model } } };
  }
  if (!isObject(layer) || !isObject(layer["config"])) return { class_name: className, config };
  const inner = keras2Layer(String(layer["class_name"]), layer["config"], path);
  return { class_name: className, config: { ...config, layer: { ...layer, ...inner } } };
};

const dropout: Readonly<Record<string, string>> = { p: "rate" };

const rules: Readonly<Record<string, Rule>> = {
  InputLayer: inputLayer,
  Dense: dense,
  TimeDistributedDense: dense,
  Convolution1D: convolution("Conv1D", 1),
  Convolution2D: convolution("Conv2D", 2),
  Convolution3D: convolution("Conv3D", 3),
  AtrousConvolution1D: convolution("Conv1D", 1, true),
  AtrousConvolution2D: convolution("Conv2D", 2, true),
  Deconvolution2D: deconvolution,
  SeparableConvolution2D: separable,
  LocallyConnected1D: convolution("LocallyConnected1D", 1),
  LocallyConnected2D: convolution("LocallyConnected2D", 2),
  ConvLSTM2D: convolutionLstm,
  SimpleRNN: recurrent(),
  LSTM: recurrent(),
  GRU: recurrent({ reset_after: false }),
  Embedding: embedding,
  BatchNormalization: batchNormalization,
  MaxPooling1D: pooling("MaxPooling1D", 1),
  AveragePooling1D: pooling("AveragePooling1D", 1),
  UpSampling1D: named("UpSampling1D", { length: "size" }),
  ZeroPadding1D: zeroPadding,
  ZeroPadding2D: zeroPadding,
  Dropout: named("Dropout", dropout),
  SpatialDropout1D: named("SpatialDropout1D", dropout),
  SpatialDropout2D: named("SpatialDropout2D", dropout),
  SpatialDropout3D: named("SpatialDropout3D", dropout),
  GaussianDropout: named("GaussianDropout", dropout),
  GaussianNoise: named("GaussianNoise", { sigma: "stddev" }),
  PReLU: named("PReLU", { init: "alpha_initializer" }),
  Merge: merge,
  TimeDistributed: wrapper,
  Bidirectional: wrapper,
};

/** Matches layer classes over images or volumes, which have a data format. */
const spatial =
  /(Conv(LSTM)?[23]D|Conv2DTranspose|Pooling[23]D|UpSampling[23]D|ZeroPadding[23]D|Cropping[23]D|SpatialDropout[23]D|LocallyConnected2D)$/;

/** Returns whether a class has a `data_format` in Keras 2. */
export function liesInSpace(className: string): boolean {
  return spatial.test(className);
}
