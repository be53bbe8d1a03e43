import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { CallDescription, NamedArgument } from "./description.ts";

/** A call of a TensorFlow function as one of a Keras 3 op, or of a layer that does the same. */
export interface ModernOp {
  readonly className: string;
  readonly config: JsonObject;
  readonly call: CallDescription;
}

interface TfFunction {
  readonly className: string;
  /** Names of the operands after the first; optional ones are left out where they are not given. */
  readonly operands: readonly string[];
  /** The op's own arguments from the function's, which are constants; undefined where Keras has no such op. */
  readonly config: (given: JsonObject) => JsonObject | undefined;
}

/** Whether a layer's class stands for a function of TensorFlow's in the graph of Keras 2. */
export function isTensorFlowFunction(className: string): boolean {
  return /^(TFOpLambda|SlicingOpLambda|TensorFlowOpLayer)$/.test(className);
}

/**
 * What Keras 2 kept of a TensorFlow function in a functional graph (TFOpLambda and SlicingOpLambda, from TF 2.4 on), in
 * Keras 3's terms. Undefined where Keras 3 has no op that does the same: the layer stays what it is, and is refused by name.
 */
export function modernTfOp(config: JsonObject, call: CallDescription | undefined): ModernOp | undefined {
  const name = String(config["function"]).replace(/^compat\.v1\./, "");
  const found = functions[name];
  if (!found || !call) return undefined;
  const operands = found.operands.flatMap((operand) => (call.kwargs[operand] ? [call.kwargs[operand]] : []));
  const own = Object.entries(call.kwargs).filter(([key]) => !found.operands.includes(key));
  if (own.some(([, argument]) => argument.kind !== "value")) return undefined;
  const given = Object.fromEntries(own.map(([key, argument]) => [key, constantOf(argument)]));
  const opConfig = found.config(given);
  if (!opConfig) return undefined;
  if (found.className === "ops.GetItem")
    operands.push({ kind: "value", value: modernKey(given["slice_spec"]) });
  return {
    className: found.className,
    config: { name: config["name"] ?? name, trainable: config["trainable"] ?? true, ...opConfig },
    call: { args: [...call.args, ...operands], kwargs: {} },
  };
}

function constantOf(argument: NamedArgument): Json {
  return argument.kind === "value" ? argument.value : null;
}

/** Slices as Keras 3 writes them. */
function modernKey(key: Json | undefined): Json {
  const parts: readonly Json[] = Array.isArray(key) ? key : [key ?? null];
  return parts.map((part) => {
    if (!isObject(part)) return part;
    if (part["class_name"] === "__ellipsis__") return { class_name: "__ellipsis__", config: {} };
    return { class_name: "__slice__", config: part };
  });
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
const pooling = (op: string): TfFunction =>
  fn(`ops.${op}`, [], ({ ksize, strides, padding, data_format }) =>
    typeof padding !== "string" || isChannelsFirst(data_format)
      ? undefined
      : { pool_size: ksize!, strides: strides ?? ksize!, padding: padding.toLowerCase() },
  );

function isChannelsFirst(dataFormat: Json | undefined): boolean {
  return typeof dataFormat === "string" && dataFormat.startsWith("NC");
}

/** By the name that TensorFlow exports; arguments as of TensorFlow 2.15. */
const functions: Readonly<Record<string, TfFunction>> = {
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
  "nn.max_pool2d": pooling("MaxPool"),
  "nn.avg_pool2d": pooling("AveragePool"),
  "math.reduce_mean": reduction("Mean"),
  "math.reduce_sum": reduction("Sum"),
  "math.reduce_max": reduction("Max"),
  "math.reduce_min": reduction("Min"),
  "math.reduce_prod": reduction("Prod"),
  "math.reduce_std": reduction("Std"),
  "math.reduce_variance": reduction("Var"),
  "math.argmax": position("Argmax"),
  "math.argmin": position("Argmin"),
  clip_by_value: fn("ops.Clip", [], ({ clip_value_min, clip_value_max }) => ({
    x_min: clip_value_min!,
    x_max: clip_value_max!,
  })),
  cast: fn("ops.Cast", [], ({ dtype }) => ({ dtype: dtype! })),
  reshape: fn("ops.Reshape", [], ({ shape }) => ({ newshape: shape! })),
  transpose: fn("ops.Transpose", [], ({ perm = null }) => ({ axes: perm })),
  expand_dims: fn("ops.ExpandDims", [], ({ axis }) => ({ axis: axis! })),
  squeeze: fn("ops.Squeeze", [], ({ axis = null }) => ({ axis })),
  concat: fn("ops.Concatenate", [], ({ axis }) => ({ axis: axis! })),
  stack: fn("ops.Stack", [], ({ axis = 0 }) => ({ axis })),
  split: fn("ops.Split", [], ({ num_or_size_splits, axis = 0 }) => ({
    indices_or_sections: cutsOf(num_or_size_splits!),
    axis,
  })),
  tile: fn("ops.Tile", [], ({ multiples }) => ({ repeats: multiples! })),
  pad: fn("ops.Pad", [], ({ paddings, mode = "CONSTANT", constant_values = 0 }) => ({
    pad_width: paddings!,
    mode: String(mode).toLowerCase(),
    constant_values,
  })),
  where: fn("ops.Where", ["x", "y"]),
  identity: fn("Identity"),
  stop_gradient: unary("StopGradient"),
  "linalg.matmul": fn("ops.Matmul", ["b"], (given) =>
    Object.values(given).some((value) => value === true) ? undefined : {},
  ),
  "image.flip_left_right": fn("ops.Flip", [], () => ({ axis: -2 })),
  "image.flip_up_down": fn("ops.Flip", [], () => ({ axis: -3 })),
  "image.resize": fn(
    "ops.Resize",
    [],
    ({ size, method = "bilinear", antialias = false, preserve_aspect_ratio }) =>
      preserve_aspect_ratio === true || (method !== "bilinear" && method !== "nearest")
        ? undefined
        : { size: size!, interpolation: method, antialias },
  ),
  "__operators__.getitem": fn("ops.GetItem", [], none),
};

/** Sizes as the positions where one ends and the next begins; a number of equal parts as it is. */
function cutsOf(sizes: Json): Json {
  if (!Array.isArray(sizes)) return sizes;
  let end = 0;
  return (sizes as readonly number[]).slice(0, -1).map((size) => {
    end += size;
    return end;
  });
}
