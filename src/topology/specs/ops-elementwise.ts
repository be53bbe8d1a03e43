import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { ElementType, Shape } from "../../tensor.ts";
import type { Argument } from "../layer-graph.ts";
import type { CallShapes, LayerSpec, NonEmpty } from "../layer-spec.ts";
import { broadcastShapes } from "./broadcast.ts";

/** @file Elementwise operations of keras.ops (`keras/src/ops/numpy.py`, `nn.py`). */

/** Returns the shapes of a call's operands in order, including constants. */
export function operandShapes({ args, kwargs, inputs }: CallShapes): Shape[] {
  const shapes = inputs[Symbol.iterator]();
  const shapeOf = (argument: Argument): Shape[] => {
    if (argument.kind === "tensor") return [shapes.next().value as Shape];
    if (argument.kind === "list") return argument.items.flatMap(shapeOf);
    return argument.kind === "value" && isConstant(argument.value) ? [constantShape(argument.value)] : [];
  };
  return [...args, ...Object.values(kwargs)].flatMap(shapeOf);
}

function isConstant(value: Json): boolean {
  return typeof value === "number" || typeof value === "boolean" || Array.isArray(value);
}

/** Returns the shape of a number or of nested lists of numbers. */
function constantShape(value: Json): number[] {
  if (!Array.isArray(value)) return [];
  const [first] = value as readonly Json[];
  return [value.length, ...(first === undefined ? [] : constantShape(first))];
}

type DTypedCall = CallShapes & { readonly dtypes: NonEmpty<ElementType> };

/**
 * Returns the dtype of an arithmetic result. An integer constant takes the dtype of the tensor; a fraction makes the
 * result float (`keras/src/backend/common/dtypes.py`).
 */
function arithmeticDType({ args, kwargs, dtypes }: DTypedCall): ElementType {
  const float = dtypes.find((dtype) => dtype.includes("float"));
  if (float) return float;
  const fractional = [...args, ...Object.values(kwargs)].some(
    (argument) => argument.kind === "value" && hasFraction(argument.value),
  );
  return fractional ? "float32" : (dtypes.find((dtype) => dtype !== "bool") ?? dtypes[0]);
}

function hasFraction(value: Json): boolean {
  return Array.isArray(value)
    ? value.some(hasFraction)
    : typeof value === "number" && !Number.isInteger(value);
}

type OutputDType = (call: DTypedCall) => ElementType;

const alwaysBool: OutputDType = () => "bool";
const sameDType: OutputDType = ({ dtypes }) => dtypes[0];
const floatDType: OutputDType = ({ dtypes }) => dtypes.find((dtype) => dtype.includes("float")) ?? "float32";

function binary(name: string, outputDType: OutputDType): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults: {},
    outputShapes: (call) => {
      const operands = operandShapes(call);
      const [first, second] = operands;
      if (first && second && operands.length === 2) return [broadcastShapes(first, second)];
      throw new TopologyError(`operands: expected 2, got ${operands.length}.`, "shape");
    },
    outputDTypes: (call) => [outputDType(call)],
    elementwise: true,
  };
}

function unary(name: string, outputDType: OutputDType, more: Partial<LayerSpec> = {}): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults: {},
    outputShapes: ({ inputs }) => [inputs[0]],
    outputDTypes: (call) => [outputDType(call)],
    elementwise: true,
    ...more,
  };
}

const arithmetic =
  "Add Subtract Multiply Power Maximum Minimum FloorDivide Mod Fmax Fmin Fmod BitwiseAnd BitwiseOr BitwiseXor BitwiseLeftShift BitwiseRightShift LeftShift RightShift Gcd Lcm";
const division = "Divide TrueDivide DivideNoNan Arctan2 Hypot Logaddexp Logaddexp2 Heaviside Ldexp Nextafter";
const comparisons = [
  "Equal",
  "NotEqual",
  "Greater",
  "GreaterEqual",
  "Less",
  "LessEqual",
  "LogicalAnd",
  "LogicalOr",
  "LogicalXor",
];
const tests = ["Isfinite", "Isinf", "Isnan", "Isposinf", "Isneginf", "Signbit", "LogicalNot", "Isreal"];

const keepsDType =
  "Absolute Negative Sign Square Clip StopGradient BitwiseNot BitwiseInvert NanToNum Conjugate Real Imag Copy Array";
const floating =
  "Relu Relu6 LeakyRelu Elu Selu Celu Gelu Silu Sigmoid HardSigmoid HardSilu HardTanh " +
  "LogSigmoid Softplus Softsign Squareplus Threshold Tanh Exp Expm1 Log Log1p Log2 Log10 Sqrt Rsqrt " +
  "Reciprocal Sin Cos Tan Sinh Cosh Arctan Arcsinh Erf Floor Ceil Round " +
  "Arcsin Arccos Arctanh Arccosh SoftShrink HardShrink TanhShrink SparsePlus SparseSigmoid ReLU " +
  "Cbrt Exp2 Deg2rad Rad2deg Sinc Trunc Fabs Erfc Erfinv Angle I0";

const opDefaults: Readonly<Record<string, JsonObject>> = {
  Elu: { alpha: 1 },
  Celu: { alpha: 1 },
  LeakyRelu: { negative_slope: 0.2 },
  Gelu: { approximate: true },
  Squareplus: { b: 4 },
  SoftShrink: { threshold: 0.5 },
  HardShrink: { threshold: 0.5 },
  ReLU: { negative_slope: 0, max_value: null, threshold: 0 },
};

/** Returns the dtype in the operation's config, or that of the input. */
const namedDType: OutputDType = ({ config, dtypes }) => (config["dtype"] as ElementType | null) ?? dtypes[0];

/** Compares two tensors; tolerances follow as further operands. */
const isClose: LayerSpec = {
  className: "ops.Isclose",
  defaults: { equal_nan: false },
  outputShapes: (call) => {
    const [first, second] = operandShapes(call);
    if (first && second) return [broadcastShapes(first, second)];
    throw new TopologyError("operands: expected 2, got fewer.", "shape");
  },
  outputDTypes: () => ["bool"],
  elementwise: true,
};

/** Implements `where(condition, x1, x2)`. */
const where: LayerSpec = {
  className: "ops.Where",
  defaults: {},
  outputShapes: (call) => {
    const operands = operandShapes(call);
    if (operands.length === 3) return [operands.reduce(broadcastShapes)];
    throw new TopologyError(`operands: expected 3, got ${operands.length}.`, "shape");
  },
  outputDTypes: (call) => {
    const [, first, ...others] = call.dtypes;
    return [first === undefined ? "float32" : arithmeticDType({ ...call, dtypes: [first, ...others] })];
  },
  elementwise: true,
};

export const elementwiseOpSpecs: readonly LayerSpec[] = [
  ...arithmetic.split(" ").map((name) => binary(name, arithmeticDType)),
  where,
  isClose,
  ...division.split(" ").map((name) => binary(name, floatDType)),
  ...comparisons.map((name) => binary(name, alwaysBool)),
  ...tests.map((name) => unary(name, alwaysBool)),
  ...keepsDType.split(" ").map((name) => unary(name, sameDType)),
  ...floating.split(" ").map((name) => unary(name, floatDType, { defaults: opDefaults[name] ?? {} })),
  unary("Digitize", () => "int32"),
  unary("ConvertToTensor", namedDType),
  unary("EmptyLike", namedDType),
  unary("Cast", namedDType),
  unary("View", namedDType),
  unary("SaturateCast", namedDType),
  unary("OnesLike", namedDType),
  unary("ZerosLike", namedDType),
  unary("FullLike", namedDType),
  unary("Softmax", floatDType, { defaults: { axis: -1 }, elementwise: false }),
  unary("Sparsemax", floatDType, { defaults: { axis: -1 }, elementwise: false }),
  unary("LogSoftmax", floatDType, { defaults: { axis: -1 }, elementwise: false }),
];
