import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";

/** A kind of node in a TensorFlow graph as a function. */
export interface NodeKind {
  /** Name of the function that creates such nodes. */
  readonly function: string;
  /** Names of the function's arguments for the node's inputs after the first. */
  readonly inputs: readonly string[];
  /** Returns the function's arguments from the node's attributes. */
  readonly attributes: (given: JsonObject) => JsonObject;
  /** True if all inputs before `inputs` form one list. */
  readonly isListed?: boolean;
  /** True if the function's first argument is the node's last input. */
  readonly isLast?: boolean;
}

const none = (): JsonObject => ({});

function kind(name: string, inputs = "", attributes: NodeKind["attributes"] = none): NodeKind {
  return { function: name, inputs: inputs.split(" ").filter(Boolean), attributes };
}

/** Returns the masks of a strided slice, which have one bit for each axis. */
const masks = (attributes: JsonObject): JsonObject =>
  Object.fromEntries(
    ["begin", "end", "ellipsis", "new_axis", "shrink_axis"].map((name) => [
      `${name}_mask`,
      numberIn(attributes[`${name}_mask`]) ?? 0,
    ]),
  );
const windows = ({
  strides,
  dilations,
  padding,
  explicit_paddings,
  data_format,
  ksize,
}: JsonObject): JsonObject => {
  const kind = textIn(padding);
  const margins = numbersIn(explicit_paddings) ?? [];
  const sides = Array.from({ length: margins.length / 2 }, (_, axis) =>
    margins.slice(2 * axis, 2 * axis + 2),
  );
  return {
    strides: numbersIn(strides) ?? 1,
    padding: kind === "EXPLICIT" ? sides : kind,
    data_format: textIn(data_format),
    ...(dilations !== undefined && { dilations: numbersIn(dilations) ?? 1 }),
    ...(ksize !== undefined && { ksize: numbersIn(ksize) ?? 1 }),
  };
};
/** Creates a resize by pixel centers. Other alignments get a method name that Keras 3 does not have. */
const resizing = (method: string): NodeKind =>
  kind("image.resize", "size", ({ align_corners, half_pixel_centers }) => ({
    method:
      attribute(half_pixel_centers, "b") === true && attribute(align_corners, "b") !== true
        ? method
        : `${method} by corners`,
  }));
const adjoint = ({ adj_x, adj_y }: JsonObject): JsonObject => ({
  transpose_a: attribute(adj_x, "b") === true,
  transpose_b: attribute(adj_y, "b") === true,
});
const sums = ({ exclusive, reverse }: JsonObject): JsonObject => ({
  exclusive: attribute(exclusive, "b") === true,
  reverse: attribute(reverse, "b") === true,
});
const blocks = ({ block_size, data_format }: JsonObject): JsonObject => ({
  block_size: numberIn(block_size) ?? null,
  data_format: textIn(data_format),
});

const reduction = (name: string): NodeKind =>
  kind(`math.reduce_${name}`, "axis", ({ keep_dims }) => ({ keepdims: attribute(keep_dims, "b") === true }));

/** Known kinds of nodes by the name of their operation. */
export const nodeKinds: Readonly<Record<string, NodeKind>> = {
  Add: kind("math.add", "y"),
  AddV2: kind("math.add", "y"),
  Sub: kind("math.subtract", "y"),
  Mul: kind("math.multiply", "y"),
  RealDiv: kind("math.truediv", "y"),
  Pow: kind("math.pow", "y"),
  Maximum: kind("math.maximum", "y"),
  Minimum: kind("math.minimum", "y"),
  Greater: kind("math.greater", "y"),
  GreaterEqual: kind("math.greater_equal", "y"),
  Less: kind("math.less", "y"),
  LessEqual: kind("math.less_equal", "y"),
  Abs: kind("math.abs"),
  Neg: kind("math.negative"),
  Square: kind("math.square"),
  Sqrt: kind("math.sqrt"),
  Rsqrt: kind("math.rsqrt"),
  Reciprocal: kind("math.reciprocal"),
  Exp: kind("math.exp"),
  Expm1: kind("math.expm1"),
  Log: kind("math.log"),
  Log1p: kind("math.log1p"),
  Sin: kind("math.sin"),
  Cos: kind("math.cos"),
  Erf: kind("math.erf"),
  Floor: kind("math.floor"),
  Ceil: kind("math.ceil"),
  Round: kind("math.round"),
  Sign: kind("math.sign"),
  Sigmoid: kind("math.sigmoid"),
  Tanh: kind("math.tanh"),
  Relu: kind("nn.relu"),
  Relu6: kind("nn.relu6"),
  Elu: kind("nn.elu"),
  Selu: kind("nn.selu"),
  Softplus: kind("nn.softplus"),
  Softsign: kind("nn.softsign"),
  LeakyRelu: kind("nn.leaky_relu", "", ({ alpha }) => ({ alpha: attribute(alpha, "f") ?? 0.2 })),
  Softmax: kind("nn.softmax"),
  LogSoftmax: kind("nn.log_softmax"),
  Mean: reduction("mean"),
  Sum: reduction("sum"),
  Max: reduction("max"),
  Min: reduction("min"),
  Prod: reduction("prod"),
  ClipByValue: kind("clip_by_value", "clip_value_min clip_value_max"),
  NotEqual: kind("math.not_equal", "y"),
  Equal: kind("math.equal", "y"),
  LogicalAnd: kind("math.logical_and", "y"),
  LogicalOr: kind("math.logical_or", "y"),
  LogicalNot: kind("math.logical_not"),
  SquaredDifference: kind("math.squared_difference", "y"),
  FloorMod: kind("math.floormod", "y"),
  FloorDiv: kind("math.floordiv", "y"),
  DivNoNan: kind("math.divide_no_nan", "y"),
  Atan2: kind("math.atan2", "x"),
  Tan: kind("math.tan"),
  Asin: kind("math.asin"),
  Acos: kind("math.acos"),
  Atan: kind("math.atan"),
  Sinh: kind("math.sinh"),
  Cosh: kind("math.cosh"),
  Asinh: kind("math.asinh"),
  Acosh: kind("math.acosh"),
  Atanh: kind("math.atanh"),
  Erfc: kind("math.erfc"),
  Rint: kind("math.rint"),
  IsNan: kind("math.is_nan"),
  IsFinite: kind("math.is_finite"),
  IsInf: kind("math.is_inf"),
  Any: reduction("any"),
  All: reduction("all"),
  ArgMax: kind("math.argmax", "axis"),
  ArgMin: kind("math.argmin", "axis"),
  TopKV2: kind("math.top_k", "k", ({ sorted }) => ({ sorted: attribute(sorted, "b") !== false })),
  InTopKV2: kind("math.in_top_k", "targets k"),
  Cumsum: kind("math.cumsum", "axis", sums),
  Cumprod: kind("math.cumprod", "axis", sums),
  AddN: { ...kind("math.add_n"), isListed: true },
  Cast: kind("cast", "", ({ DstT }) => ({ dtype: dtypes[String(attribute(DstT, "type"))] ?? null })),
  SelectV2: kind("where", "x y"),
  ZerosLike: kind("zeros_like"),
  OnesLike: kind("ones_like"),
  GatherV2: kind("gather", "indices axis", ({ batch_dims }) => ({ batch_dims: numberIn(batch_dims) ?? 0 })),
  OneHot: kind("one_hot", "depth on_value off_value", ({ axis }) => ({ axis: numberIn(axis) ?? -1 })),
  Split: {
    ...kind("split", "axis", ({ num_split }) => ({ num_or_size_splits: numberIn(num_split) ?? null })),
    isLast: true,
  },
  SplitV: kind("split", "num_or_size_splits axis"),
  Unpack: kind("unstack", "", ({ axis, num }) => ({ axis: numberIn(axis) ?? 0, num: numberIn(num) ?? null })),
  StridedSlice: kind("strided_slice", "begin end strides", masks),
  Slice: kind("slice", "begin size"),
  ReverseV2: kind("reverse", "axis"),
  Roll: kind("roll", "shift axis"),
  Pad: kind("pad", "paddings"),
  PadV2: kind("pad", "paddings constant_values"),
  MirrorPad: kind("pad", "paddings", ({ mode }) => ({ mode: textIn(mode) })),
  BiasAdd: kind("nn.bias_add", "bias", ({ data_format }) => ({ data_format: textIn(data_format) })),
  Conv2D: kind("nn.conv2d", "filters", windows),
  Conv3D: kind("nn.conv3d", "filters", windows),
  DepthwiseConv2dNative: kind("nn.depthwise_conv2d", "filter", windows),
  MaxPool: kind("nn.max_pool2d", "", windows),
  AvgPool: kind("nn.avg_pool2d", "", windows),
  DepthToSpace: kind("nn.depth_to_space", "", blocks),
  SpaceToDepth: kind("nn.space_to_depth", "", blocks),
  ResizeBilinear: resizing("bilinear"),
  ResizeNearestNeighbor: resizing("nearest"),
  ResizeBicubic: resizing("bicubic"),
  AdjustContrastv2: kind("image.adjust_contrast", "contrast_factor"),
  ExtractImagePatches: kind("image.extract_patches", "", ({ ksizes, strides, rates, padding }) => ({
    sizes: numbersIn(ksizes) ?? null,
    strides: numbersIn(strides) ?? null,
    rates: numbersIn(rates) ?? null,
    padding: textIn(padding),
  })),
  BatchMatMul: kind("linalg.matmul", "b", adjoint),
  BatchMatMulV2: kind("linalg.matmul", "b", adjoint),
  Einsum: { ...kind("einsum", "", ({ equation }) => ({ equation: textIn(equation) })), isListed: true },
  MatrixBandPart: kind("linalg.band_part", "num_lower num_upper"),
  MatrixDeterminant: kind("linalg.det"),
  MatrixInverse: kind("linalg.inv"),
  Cholesky: kind("linalg.cholesky"),
  Reshape: kind("reshape", "shape"),
  Transpose: kind("transpose", "perm"),
  ExpandDims: kind("expand_dims", "axis"),
  Squeeze: kind("squeeze", "", ({ squeeze_dims }) => ({ axis: numbersIn(squeeze_dims) ?? null })),
  Tile: kind("tile", "multiples"),
  ConcatV2: { ...kind("concat", "axis"), isListed: true },
  Pack: { ...kind("stack", "", ({ axis }) => ({ axis: numberIn(axis) ?? 0 })), isListed: true },
  MatMul: kind("linalg.matmul", "b", ({ transpose_a, transpose_b }) => ({
    transpose_a: attribute(transpose_a, "b") === true,
    transpose_b: attribute(transpose_b, "b") === true,
  })),
  Identity: kind("identity"),
  StopGradient: kind("stop_gradient"),
};

const dtypes: Readonly<Record<string, string>> = {
  DT_FLOAT: "float32",
  DT_DOUBLE: "float64",
  DT_HALF: "float16",
  DT_INT32: "int32",
  DT_INT64: "int64",
  DT_UINT8: "uint8",
  DT_BOOL: "bool",
};

/** Returns the number in `{ "i": "2" }`. */
function numberIn(json: Json | undefined): number | undefined {
  const value = attribute(json, "i");
  return value === undefined ? undefined : Number(value);
}

/** Returns the text in `{ "s": "U0FNRQ==" }`. */
function textIn(json: Json | undefined): string {
  return Buffer.from(String(attribute(json, "s") ?? ""), "base64").toString();
}

/** Returns the numbers in `{ "list": { "i": ["1"] } }`, undefined if there are none. */
function numbersIn(json: Json | undefined): readonly number[] | undefined {
  const listed = attribute(attribute(json, "list"), "i");
  return Array.isArray(listed) && listed.length > 0 ? listed.map(Number) : undefined;
}

/** Returns the value of one key, such as `2` in `{ "i": "2" }`. */
function attribute(json: Json | undefined, key: string): Json | undefined {
  return json !== undefined && isObject(json) ? json[key] : undefined;
}
