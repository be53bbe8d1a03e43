import type { Json, JsonObject } from "../../checkpoint.ts";

/** A TensorFlow function that one operation of Keras 3 computes. */
export interface TfFunction {
  readonly className: string;
  /** Names of the operands after the first. Optional operands may be missing in a call. */
  readonly operands: readonly string[];
  /**
   * Returns the operation's arguments from the function's constant arguments, undefined if Keras has no equivalent.
   */
  readonly config: (given: JsonObject) => JsonObject | undefined;
}

const none = (): JsonObject => ({});

function fn(
  className: string,
  operands: readonly string[] = [],
  config: TfFunction["config"] = none,
): TfFunction {
  return { className, operands, config };
}

const binary = (op: string): TfFunction => fn(`ops.${op}`, ["y"]);
const unary = (op: string): TfFunction => fn(`ops.${op}`);
const reduction = (op: string): TfFunction =>
  fn(`ops.${op}`, [], ({ axis = null, keepdims = false }) => ({ axis, keepdims: keepdims ?? false }));
const position = (op: string): TfFunction =>
  fn(`ops.${op}`, [], ({ axis, dimension }) => ({ axis: axis ?? dimension ?? 0, keepdims: false }));
const pooling = (op: string, rank: number): TfFunction =>
  fn(`ops.${op}`, [], ({ ksize = null, strides = null, padding, data_format }) =>
    typeof padding !== "string" || isChannelsFirst(data_format) || ksize === null
      ? undefined
      : {
          pool_size: spatial(ksize, rank),
          strides: spatial(strides ?? ksize, rank),
          padding: padding.toLowerCase(),
        },
  );
const blocks = (op: string): TfFunction =>
  fn(`ops.${op}`, [], ({ block_size, data_format }) =>
    isChannelsFirst(data_format)
      ? undefined
      : { block_size: block_size ?? null, data_format: "channels_last" },
  );
const norm = fn("ops.Norm", [], ({ axis = null, keepdims = false, ord = "euclidean" }) =>
  ord === "euclidean" && axis !== null ? { ord: null, axis, keepdims: keepdims ?? false } : undefined,
);

/**
 * Returns the sizes of the spatial axes from a list for all axes or for the spatial ones, as one number if they are
 * equal, as Keras 3 requires.
 */
export function spatial(sizes: Json, rank: number): Json {
  if (!Array.isArray(sizes)) return sizes;
  const own: readonly Json[] = sizes.length === rank + 2 ? sizes.slice(1, -1) : sizes;
  const [first = null] = own;
  return own.every((size) => size === first) ? first : own;
}

/** Returns whether a TensorFlow data format has the channels first (`NCHW`). */
export function isChannelsFirst(dataFormat: Json | undefined): boolean {
  return typeof dataFormat === "string" && dataFormat.startsWith("NC");
}

/** Methods by which Keras 3 resizes as TensorFlow does. */
const resizing = ["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"];

/** Functions by the names that TensorFlow exports, with the arguments of TensorFlow 2.15. */
export const functions: Readonly<Record<string, TfFunction>> = {
  "__operators__.add": binary("Add"),
  "math.add": binary("Add"),
  "math.subtract": binary("Subtract"),
  "math.multiply": binary("Multiply"),
  "math.truediv": binary("TrueDivide"),
  "math.divide": binary("TrueDivide"),
  "math.pow": binary("Power"),
  "math.maximum": binary("Maximum"),
  "math.minimum": binary("Minimum"),
  "math.greater": binary("Greater"),
  "math.greater_equal": binary("GreaterEqual"),
  "math.less": binary("Less"),
  "math.less_equal": binary("LessEqual"),
  "math.equal": binary("Equal"),
  "math.not_equal": binary("NotEqual"),
  "math.logical_and": binary("LogicalAnd"),
  "math.logical_or": binary("LogicalOr"),
  "math.logical_not": unary("LogicalNot"),
  "math.abs": unary("Absolute"),
  "math.negative": unary("Negative"),
  "math.square": unary("Square"),
  "math.sqrt": unary("Sqrt"),
  "math.rsqrt": unary("Rsqrt"),
  "math.reciprocal": unary("Reciprocal"),
  "math.exp": unary("Exp"),
  "math.expm1": unary("Expm1"),
  "math.log": unary("Log"),
  "math.log1p": unary("Log1p"),
  "math.sin": unary("Sin"),
  "math.cos": unary("Cos"),
  "math.tanh": unary("Tanh"),
  "math.erf": unary("Erf"),
  "math.floor": unary("Floor"),
  "math.ceil": unary("Ceil"),
  "math.round": unary("Round"),
  "math.sign": unary("Sign"),
  "math.sigmoid": unary("Sigmoid"),
  "math.softplus": unary("Softplus"),
  "nn.sigmoid": unary("Sigmoid"),
  "nn.tanh": unary("Tanh"),
  "nn.relu": unary("Relu"),
  "nn.relu6": unary("Relu6"),
  "nn.elu": unary("Elu"),
  "nn.selu": unary("Selu"),
  "nn.softplus": unary("Softplus"),
  "nn.softsign": unary("Softsign"),
  "nn.silu": fn("ops.Silu", [], ({ beta = 1 }) => (beta === 1 ? {} : undefined)),
  "nn.leaky_relu": fn("ops.LeakyRelu", [], ({ alpha = 0.2 }) => ({ negative_slope: alpha })),
  "nn.gelu": fn("ops.Gelu", [], ({ approximate = false }) => ({ approximate })),
  "nn.softmax": fn("ops.Softmax", [], ({ axis }) => ({ axis: axis ?? -1 })),
  "nn.log_softmax": fn("ops.LogSoftmax", [], ({ axis }) => ({ axis: axis ?? -1 })),
  "nn.bias_add": fn("ops.Add", ["bias"], ({ data_format }) =>
    isChannelsFirst(data_format) ? undefined : {},
  ),
  "nn.max_pool1d": pooling("MaxPool", 1),
  "nn.avg_pool1d": pooling("AveragePool", 1),
  "nn.max_pool2d": pooling("MaxPool", 2),
  "nn.avg_pool2d": pooling("AveragePool", 2),
  "nn.max_pool": pooling("MaxPool", 2),
  "nn.avg_pool": pooling("AveragePool", 2),
  "nn.depth_to_space": blocks("DepthToSpace"),
  "nn.space_to_depth": blocks("SpaceToDepth"),
  "math.floormod": binary("Mod"),
  "math.floordiv": binary("FloorDivide"),
  floor_div: binary("FloorDivide"),
  "math.divide_no_nan": binary("DivideNoNan"),
  "math.atan2": fn("ops.Arctan2", ["x"]),
  "math.tan": unary("Tan"),
  "math.asin": unary("Arcsin"),
  "math.acos": unary("Arccos"),
  "math.atan": unary("Arctan"),
  "math.sinh": unary("Sinh"),
  "math.cosh": unary("Cosh"),
  "math.asinh": unary("Arcsinh"),
  "math.acosh": unary("Arccosh"),
  "math.atanh": unary("Arctanh"),
  "math.erfc": unary("Erfc"),
  "math.rint": unary("Round"),
  "math.log_sigmoid": unary("LogSigmoid"),
  "math.is_nan": unary("Isnan"),
  "math.is_finite": unary("Isfinite"),
  "math.is_inf": unary("Isinf"),
  "math.logical_xor": binary("LogicalXor"),
  "math.cumprod": fn("ops.Cumprod", [], ({ axis = 0, exclusive, reverse }) =>
    exclusive === true || reverse === true ? undefined : { axis },
  ),
  "math.top_k": fn("ops.TopK", [], ({ k = 1, sorted = true }) => ({ k, sorted })),
  "math.reduce_any": reduction("Any"),
  "math.reduce_all": reduction("All"),
  "math.reduce_logsumexp": reduction("Logsumexp"),
  "math.reduce_euclidean_norm": norm,
  norm,
  "math.count_nonzero": fn("ops.CountNonzero", [], ({ axis = null, keepdims }) =>
    keepdims === true ? undefined : { axis },
  ),
  "math.reduce_mean": reduction("Mean"),
  "math.reduce_sum": reduction("Sum"),
  "math.reduce_max": reduction("Max"),
  "math.reduce_min": reduction("Min"),
  "math.reduce_prod": reduction("Prod"),
  "math.reduce_std": reduction("Std"),
  "math.reduce_variance": reduction("Var"),
  "math.argmax": position("Argmax"),
  "math.argmin": position("Argmin"),
  clip_by_value: fn("ops.Clip", [], ({ clip_value_min = null, clip_value_max = null }) => ({
    x_min: clip_value_min,
    x_max: clip_value_max,
  })),
  cast: fn("ops.Cast", [], ({ dtype = null }) => ({ dtype })),
  transpose: fn("ops.Transpose", [], ({ perm = null }) => ({ axes: perm })),
  expand_dims: fn("ops.ExpandDims", [], ({ axis = null }) => ({ axis })),
  squeeze: fn("ops.Squeeze", [], ({ axis = null }) => ({ axis })),
  concat: fn("ops.Concatenate", [], ({ axis = null }) => ({ axis })),
  stack: fn("ops.Stack", [], ({ axis = 0 }) => ({ axis })),
  split: fn("ops.Split", [], ({ num_or_size_splits = null, axis = 0 }) => ({
    indices_or_sections: cutsOf(num_or_size_splits),
    axis,
  })),
  tile: fn("ops.Tile", [], ({ multiples = null }) => ({ repeats: multiples })),
  gather: fn("ops.Take", ["indices"], ({ axis, batch_dims }) =>
    Number(batch_dims ?? 0) === 0 ? { axis: axis ?? 0 } : undefined,
  ),
  "nn.embedding_lookup": fn("ops.Take", ["ids"], ({ max_norm = null }) =>
    max_norm === null ? { axis: 0 } : undefined,
  ),
  one_hot: fn("ops.OneHot", [], ({ depth = null, axis, on_value, off_value }) =>
    Number(axis ?? -1) === -1 && Number(on_value ?? 1) === 1 && Number(off_value ?? 0) === 0
      ? { num_classes: depth, axis: -1, dtype: "float32", sparse: false }
      : undefined,
  ),
  unstack: fn("ops.Unstack", [], ({ num = null, axis = 0 }) => ({ num, axis })),
  reverse: fn("ops.Flip", [], ({ axis = null }) => ({ axis })),
  roll: fn("ops.Roll", [], ({ shift = null, axis = null }) => ({ shift, axis })),
  repeat: fn("ops.Repeat", [], ({ repeats = null, axis = null }) => ({ repeats, axis })),
  zeros_like: unary("ZerosLike"),
  ones_like: unary("OnesLike"),
  tensordot: fn("ops.Tensordot", ["b"], ({ axes = null }) => ({ axes })),
  "linalg.trace": fn("ops.Trace", [], () => ({ offset: 0, axis1: -2, axis2: -1 })),
  "linalg.diag_part": fn("ops.Diagonal", [], ({ k = 0 }) => ({ offset: k, axis1: -2, axis2: -1 })),
  "linalg.det": unary("Det"),
  "linalg.inv": unary("Inv"),
  "linalg.cholesky": unary("Cholesky"),
  where: fn("ops.Where", ["x", "y"]),
  identity: fn("Identity"),
  stop_gradient: unary("StopGradient"),
  "image.flip_left_right": fn("ops.Flip", [], () => ({ axis: -2 })),
  "image.flip_up_down": fn("ops.Flip", [], () => ({ axis: -3 })),
  "image.rgb_to_grayscale": fn("ops.RGBToGrayscale", [], () => ({ data_format: "channels_last" })),
  "image.grayscale_to_rgb": fn("ops.Repeat", [], () => ({ repeats: 3, axis: -1 })),
  "image.adjust_brightness": fn("ops.Add", ["delta"]),
  "image.rot90": fn("ops.Rot90", [], ({ k = 1 }) => ({ k, axes: [1, 2] })),
  "image.pad_to_bounding_box": fn("ops.PadImages", [], (given) => ({
    top_padding: given["offset_height"] ?? null,
    left_padding: given["offset_width"] ?? null,
    bottom_padding: null,
    right_padding: null,
    target_height: given["target_height"] ?? null,
    target_width: given["target_width"] ?? null,
    data_format: "channels_last",
  })),
  "image.extract_patches": fn(
    "ops.ExtractPatches",
    [],
    ({ sizes = null, strides = null, rates = null, padding }) => ({
      size: spatial(sizes, 2),
      strides: spatial(strides, 2),
      dilation_rate: spatial(rates, 2),
      padding: String(padding).toLowerCase(),
      data_format: "channels_last",
    }),
  ),
  "keras.backend.batch_flatten": fn("Flatten"),
  "image.resize": fn(
    "ops.Resize",
    [],
    ({ size = null, method = "bilinear", antialias = false, preserve_aspect_ratio }) =>
      preserve_aspect_ratio === true || !resizing.includes(String(method))
        ? undefined
        : { size, interpolation: method, antialias },
  ),
  "__operators__.getitem": fn("ops.GetItem", [], none),
};

/** Converts sizes of parts to the indices of the cuts between them. A number of equal parts stays as it is. */
function cutsOf(sizes: Json): Json {
  if (!Array.isArray(sizes)) return sizes;
  let end = 0;
  return (sizes as readonly number[]).slice(0, -1).map((size) => {
    end += size;
    return end;
  });
}
