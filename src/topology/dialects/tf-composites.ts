import type { Json, JsonObject } from "../../checkpoint.ts";
import type { NamedArgument } from "./description.ts";
import { isChannelsFirst, spatial } from "./tf-functions.ts";
import { sliceKey, stridedKey } from "./tf-slices.ts";

/** An operation of Keras 3 (`ops.Add`) with its arguments. */
export interface Operation {
  readonly className: string;
  readonly config?: JsonObject;
  readonly args: readonly NamedArgument[];
  readonly kwargs?: Readonly<Record<string, NamedArgument>>;
}

/** A call of a composite function. */
interface CompositeCall {
  /** First argument of the function. */
  readonly x: NamedArgument;
  /** Arguments named in `Composite.operands`, undefined if not given. */
  readonly operands: readonly (NamedArgument | undefined)[];
  /** Other arguments, which are constants. */
  readonly given: JsonObject;
  /** Adds an operation that runs before the last one and returns its output. */
  readonly apply: (operation: Operation) => NamedArgument;
}

/** A TensorFlow function that needs several operations of Keras 3, or one with its arguments in another order. */
export interface Composite {
  readonly operands: readonly string[];
  /** Returns the last operation, undefined if Keras has no equivalent. */
  readonly build: (call: CompositeCall) => Operation | undefined;
}

export function op(className: string, args: readonly NamedArgument[], config: JsonObject = {}): Operation {
  return { className: `ops.${className}`, config, args };
}

export const constant = (value: Json): NamedArgument => ({ kind: "value", value });

function composite(build: Composite["build"], ...operands: string[]): Composite {
  return { operands, build };
}

/** Creates a composite of two tensors. */
const ofTwo = (operand: string, build: (call: CompositeCall, y: NamedArgument) => Operation | undefined) =>
  composite((call) => (call.operands[0] ? build(call, call.operands[0]) : undefined), operand);

/** Computes the sum of squares along axes, which are kept with size 1. */
function squares({ x, apply }: CompositeCall, axis: Json): NamedArgument {
  return apply(op("Sum", [apply(op("Square", [x]))], { axis, keepdims: true }));
}

const l2Normalize = composite((call) => {
  const { axis = null, dim = null, epsilon = 1e-12 } = call.given;
  const axes = axis ?? dim;
  if (axes === null) return undefined;
  const large = call.apply(op("Maximum", [squares(call, axes), constant(epsilon)]));
  return op("Multiply", [call.x, call.apply(op("Rsqrt", [large]))]);
});

const clipByNorm = composite((call) => {
  const { clip_norm: limit = null, axes = null } = call.given;
  if (typeof limit !== "number" || axes === null) return undefined;
  const size = call.apply(op("Sqrt", [squares(call, axes)]));
  const divisor = call.apply(op("Maximum", [size, constant(limit)]));
  return op("Divide", [call.apply(op("Multiply", [call.x, constant(limit)])), divisor]);
});

const cumsum = composite(({ x, given, apply }) => {
  const { axis = 0, exclusive = false, reverse = false } = given;
  const sum = (value: NamedArgument): Operation => op("Cumsum", [value], { axis });
  if (!exclusive && !reverse) return sum(x);
  const whole = reverse
    ? apply(op("Flip", [apply(sum(apply(op("Flip", [x], { axis }))))], { axis }))
    : apply(sum(x));
  return exclusive ? op("Subtract", [whole, x]) : { className: "Identity", args: [whole] };
});

/** Sorts in descending order by sorting the negative in ascending order. */
const sort = composite(({ x, given, apply }) => {
  const { axis = -1, direction = "ASCENDING" } = given;
  if (direction === "ASCENDING") return op("Sort", [x], { axis });
  return op("Negative", [apply(op("Sort", [apply(op("Negative", [x]))], { axis }))]);
});

const argsort = composite(({ x, given, apply }) => {
  const { axis = -1, direction = "ASCENDING" } = given;
  return op("Argsort", [direction === "ASCENDING" ? x : apply(op("Negative", [x]))], { axis });
});

const addN = composite(({ x, apply }) => {
  const [first, ...others] = x.kind === "list" ? x.items : [];
  const last = others.pop();
  if (!first || !last) return undefined;
  return op("Add", [others.reduce((total, item) => apply(op("Add", [total, item])), first), last]);
});

const matmul = ofTwo("b", ({ x, given }, b) => {
  const { transpose_a, transpose_b, adjoint_a, adjoint_b, ...others } = given;
  if (Object.values(others).some((value) => value === true)) return undefined;
  const turnsA = transpose_a === true || adjoint_a === true;
  const turnsB = transpose_b === true || adjoint_b === true;
  if (!turnsA && !turnsB) return op("Matmul", [x, b]);
  return op("Einsum", [x, b], {
    subscripts: `...${turnsA ? "ji" : "ij"},...${turnsB ? "kj" : "jk"}->...ik`,
  });
});

const adjustContrast = composite(({ x, given, apply }) => {
  const mean = apply(op("Mean", [x], { axis: [-3, -2], keepdims: true }));
  const apart = apply(op("Subtract", [x, mean]));
  return op("Add", [apply(op("Multiply", [apart, constant(given["contrast_factor"] ?? 1)])), mean]);
});

const softmaxCrossEntropy = ofTwo("logits", ({ x, given, apply }, logits) => {
  const axis = given["axis"] ?? -1;
  const products = apply(op("Multiply", [x, apply(op("LogSoftmax", [logits], { axis }))]));
  return op("Negative", [apply(op("Sum", [products], { axis, keepdims: false }))]);
});

const reshape = composite(({ x, operands: [shape] }) => {
  if (shape?.kind === "value") return op("Reshape", [x], { newshape: shape.value });
  if (shape?.kind !== "list") return undefined;
  // A single unknown size is determined by the others, wherever it comes from.
  const sizes = shape.items.map((item) => (item.kind === "value" ? item.value : -1));
  return sizes.filter((size) => size === -1).length === 1
    ? op("Reshape", [x], { newshape: sizes })
    : undefined;
}, "shape");

const pad = composite(({ x, given }) => {
  const { paddings: margins = null, mode = "CONSTANT", constant_values: value = 0 } = given;
  const padded = op("Pad", [x], { pad_width: margins, mode: String(mode).toLowerCase() });
  return value === 0 ? padded : { ...padded, kwargs: { constant_values: constant(value) } };
});

const bandPart = composite(({ x, given: { num_lower, num_upper } }) => {
  if (num_lower === -1 && typeof num_upper === "number" && num_upper >= 0)
    return op("Tril", [x], { k: num_upper });
  if (num_upper === -1 && typeof num_lower === "number" && num_lower >= 0)
    return op("Triu", [x], { k: -num_lower });
  return undefined;
});

const cropToBox = composite(({ x, given }) => {
  const { offset_height, offset_width, target_height, target_width } = given;
  const part = (start: Json | undefined, size: Json | undefined): Json => ({
    class_name: "__slice__",
    config: { start: Number(start), stop: Number(start) + Number(size), step: null },
  });
  const whole: Json = { class_name: "__slice__", config: { start: null, stop: null, step: null } };
  const key = [
    { class_name: "__ellipsis__", config: {} },
    part(offset_height, target_height),
    part(offset_width, target_width),
    whole,
  ];
  return op("GetItem", [x, constant(key)]);
});

const keyed = (keyOf: (given: JsonObject) => Json | undefined): Composite =>
  composite(({ x, given }) => {
    const key = keyOf(given);
    return key === undefined ? undefined : op("GetItem", [x, constant(key)]);
  });

type Kernel = "filter" | "filters" | "depthwise_filter";

function convolution(className: string, rank: 1 | 2 | 3, ...kernels: readonly string[]): Composite {
  return {
    operands: kernels,
    build: (call) => {
      const given = call.operands.filter((operand) => operand !== undefined);
      const options = windowOf(call.given, rank);
      if (given.length === 0 || !options) return undefined;
      const { padding = "VALID" } = call.given;
      const x = Array.isArray(padding) ? padded(call, padding) : call.x;
      return {
        className: `ops.${className}`,
        config: { ...options, padding: Array.isArray(padding) ? "valid" : String(padding).toLowerCase() },
        args: [x, ...given],
      };
    },
  };
}

/** Returns strides and dilations, undefined for channels-first formats. */
function windowOf(given: JsonObject, rank: number): JsonObject | undefined {
  if (isChannelsFirst(given["data_format"])) return undefined;
  const strides = spatial(given["strides"] ?? given["stride"] ?? 1, rank);
  const dilation = spatial(given["dilations"] ?? given["rate"] ?? 1, rank);
  return { strides, dilation_rate: dilation, data_format: "channels_last" };
}

function padded({ x, apply }: CompositeCall, margins: Json): CompositeCall["x"] {
  const operation: Operation = {
    className: "ops.Pad",
    config: { pad_width: margins, mode: "constant" },
    args: [x],
  };
  return apply(operation);
}

const filters: readonly Kernel[] = ["filter", "filters"];

/**
 * TensorFlow's convolutions. Their kernels have Keras's layout; their strides are given for all axes or for the spatial
 * ones.
 */
const convolutions: Readonly<Record<string, Composite>> = {
  "nn.conv1d": convolution("Conv", 1, ...filters),
  "nn.conv2d": convolution("Conv", 2, ...filters),
  "nn.conv3d": convolution("Conv", 3, ...filters),
  "nn.depthwise_conv2d": convolution("DepthwiseConv", 2, ...filters),
  "nn.separable_conv2d": convolution("SeparableConv", 2, "depthwise_filter", "pointwise_filter"),
};

/** Composite functions by the names that TensorFlow or tf.keras exports. */
export const composites: Readonly<Record<string, Composite>> = {
  ...convolutions,
  reshape,
  pad,
  slice: keyed(sliceKey),
  strided_slice: keyed(stridedKey),
  sort,
  argsort,
  clip_by_norm: clipByNorm,
  "math.l2_normalize": l2Normalize,
  "math.cumsum": cumsum,
  "math.add_n": addN,
  "math.squared_difference": ofTwo("y", ({ x, apply }, y) => op("Square", [apply(op("Subtract", [x, y]))])),
  "math.in_top_k": ofTwo("targets", ({ x, given }, targets) =>
    op("InTopK", [targets, x], { k: given["k"] ?? 1 }),
  ),
  "linalg.matmul": matmul,
  "linalg.matvec": ofTwo("b", ({ x }, b) => op("Einsum", [x, b], { subscripts: "...ij,...j->...i" })),
  "linalg.band_part": bandPart,
  einsum: composite(({ x, given: { equation = null } }) =>
    x.kind === "list" ? op("Einsum", x.items, { subscripts: equation }) : undefined,
  ),
  "nn.crelu": composite(({ x, given, apply }) => {
    const both: NamedArgument = { kind: "list", items: [x, apply(op("Negative", [x]))] };
    return op("Relu", [apply(op("Concatenate", [both], { axis: given["axis"] ?? -1 }))]);
  }),
  "nn.softmax_cross_entropy_with_logits_v2": softmaxCrossEntropy,
  "nn.sigmoid_cross_entropy_with_logits": ofTwo("logits", ({ x }, logits) =>
    op("BinaryCrossentropy", [x, logits], { from_logits: true }),
  ),
  "keras.backend.binary_crossentropy": ofTwo("output", ({ x, given }, output) =>
    op("BinaryCrossentropy", [x, output], { from_logits: given["from_logits"] === true }),
  ),
  "image.adjust_contrast": adjustContrast,
  "image.crop_to_bounding_box": cropToBox,
};
