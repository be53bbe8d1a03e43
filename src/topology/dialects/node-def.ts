import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { CallDescription, NamedArgument } from "./description.ts";

/** A node of TensorFlow's graph as a call of the function that makes such nodes. */
export interface FunctionCall {
  /** As of a TFOpLambda. */
  readonly config: JsonObject;
  readonly call: CallDescription;
}

interface NodeKind {
  readonly function: string;
  /** What the function calls the node's inputs after the first. */
  readonly inputs: readonly string[];
  /** The function's arguments from the node's attributes. */
  readonly attributes: (given: JsonObject) => JsonObject;
  /** Whether all inputs before those are one list. */
  readonly isListed?: boolean;
}

/**
 * The function of TensorFlow behind a TensorFlowOpLayer, which the Keras of TensorFlow 2.0 to 2.4 kept as a NodeDef with its
 * constant inputs by position. Undefined for a kind of node that is not known here: the layer stays what it is, and is refused.
 */
export function functionOfNode(
  { name, trainable, node_def, constants }: JsonObject,
  call: CallDescription,
): FunctionCall | undefined {
  const node = parsed(node_def ?? null);
  const kind = kinds[String(node?.["op"])];
  if (!kind || !node) return undefined;
  const inputs = inputsOf(call, isObject(constants) ? constants : {});
  const first = kind.isListed ? inputs.slice(0, inputs.length - kind.inputs.length) : inputs.slice(0, 1);
  const named = kind.inputs.map((key, index) => [key, inputs[first.length + index]] as const);
  if (first.length === 0 || named.some(([, input]) => input === undefined)) return undefined;
  const given = kind.attributes(isObject(node["attr"]) ? node["attr"] : {});
  return {
    config: { name: name ?? null, trainable: trainable ?? true, function: kind.function },
    call: {
      args: kind.isListed ? [{ kind: "list", items: first }] : first,
      kwargs: {
        ...Object.fromEntries(Object.entries(given).map(([key, value]) => [key, { kind: "value", value }])),
        ...(Object.fromEntries(named) as Record<string, NamedArgument>),
      },
    },
  };
}

/** The kind of node, `FFT`, of a TensorFlowOpLayer's config; undefined where it has none. */
export function kindOfNode({ node_def }: JsonObject): string | undefined {
  const kind = parsed(node_def ?? null)?.["op"];
  return typeof kind === "string" ? kind : undefined;
}

/** Releases differ in whether the node is an object or its text. */
function parsed(node: Json): JsonObject | undefined {
  if (typeof node !== "string") return isObject(node) ? node : undefined;
  try {
    const read = JSON.parse(node) as Json;
    return isObject(read) ? read : undefined;
  } catch {
    return undefined;
  }
}

/** The node's inputs by position: constants at theirs, the tensors of the call between them. */
function inputsOf({ args }: CallDescription, constants: JsonObject): readonly NamedArgument[] {
  const tensors = args.flatMap((argument) => (argument.kind === "list" ? argument.items : [argument]));
  const count = tensors.length + Object.keys(constants).length;
  let next = 0;
  return Array.from({ length: count }, (_, position): NamedArgument => {
    const value = constants[String(position)];
    return value === undefined ? tensors[next++]! : { kind: "value", value };
  });
}

const none = (): JsonObject => ({});

function kind(name: string, inputs = "", attributes: NodeKind["attributes"] = none): NodeKind {
  return { function: name, inputs: inputs.split(" ").filter(Boolean), attributes };
}

const reduction = (name: string): NodeKind =>
  kind(`math.reduce_${name}`, "axis", ({ keep_dims }) => ({ keepdims: attribute(keep_dims, "b") === true }));

const kinds: Readonly<Record<string, NodeKind>> = {
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
  Reshape: kind("reshape", "shape"),
  Transpose: kind("transpose", "perm"),
  ExpandDims: kind("expand_dims", "axis"),
  Squeeze: kind("squeeze", "", ({ squeeze_dims }) => ({ axis: axesIn(squeeze_dims) })),
  Tile: kind("tile", "multiples"),
  ConcatV2: { ...kind("concat", "axis"), isListed: true },
  Pack: { ...kind("stack", "", ({ axis }) => ({ axis: Number(attribute(axis, "i") ?? 0) })), isListed: true },
  MatMul: kind("linalg.matmul", "b", ({ transpose_a, transpose_b }) => ({
    transpose_a: attribute(transpose_a, "b") === true,
    transpose_b: attribute(transpose_b, "b") === true,
  })),
  Identity: kind("identity"),
  StopGradient: kind("stop_gradient"),
};

/** `2` in `{ "i": "2" }`. */
function attribute(json: Json | undefined, key: string): Json | undefined {
  return json !== undefined && isObject(json) ? json[key] : undefined;
}

/** The numbers in `{ "list": { "i": ["1"] } }`; null, all of size one, for none. */
function axesIn(json: Json | undefined): Json {
  const listed = attribute(attribute(json, "list"), "i");
  return Array.isArray(listed) && listed.length > 0 ? listed.map(Number) : null;
}
