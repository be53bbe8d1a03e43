/** @file Functions of keras.ops that work value by value (`keras/src/ops/numpy.py`, `nn.py`, `math.py`). */
import { add } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { isTrueAt, numberAt } from "../../topology/config-values.ts";
import {
  activationNamed,
  celu,
  elu,
  gelu,
  generalRelu,
  glu,
  hardShrink,
  leakyRelu,
  logSoftmax,
  softmax,
  softShrink,
  sparsemax,
  squareplus,
  stopGradient,
} from "../activation-functions.ts";
import { binned } from "../encoding.ts";
import type { Kernel, KernelCall } from "../kernel.ts";
import {
  asBool,
  asFloat,
  type Binary,
  besselI0,
  byBits,
  cast,
  commonDivisor,
  complement,
  divideNoNan,
  finite,
  inverseErrorFunction,
  logSumOfTwo,
  nextAfter,
  reinterpreted,
  saturated,
  scaledByPower,
  sinc,
  truncated,
  withoutNaN,
} from "./number-functions.ts";
import { argumentOf, operandsOf } from "./operands.ts";

const binary: Readonly<Record<string, Binary>> = {
  Add: add,
  Subtract: tf.sub,
  Multiply: tf.mul,
  Divide: (a, b) => tf.div(asFloat(a), asFloat(b)),
  TrueDivide: (a, b) => tf.div(asFloat(a), asFloat(b)),
  FloorDivide: (a, b) => tf.cast(tf.floor(tf.div(asFloat(a), asFloat(b))), commonType(a, b)),
  Mod: tf.mod,
  Power: tf.pow,
  Maximum: tf.maximum,
  Minimum: tf.minimum,
  Arctan2: tf.atan2,
  Fmax: (a, b) => tf.maximum(withoutNaN(a, b), withoutNaN(b, a)),
  Fmin: (a, b) => tf.minimum(withoutNaN(a, b), withoutNaN(b, a)),
  Fmod: (a, b) => tf.sub(a, tf.mul(truncated(tf.div(a, b)), b)),
  Hypot: (a, b) => tf.sqrt(tf.add(tf.square(asFloat(a)), tf.square(asFloat(b)))),
  Logaddexp: (a, b) => logSumOfTwo(asFloat(a), asFloat(b), 1),
  Logaddexp2: (a, b) => logSumOfTwo(asFloat(a), asFloat(b), Math.LN2),
  DivideNoNan: divideNoNan,
  BitwiseAnd: byBits((a, b) => a & b),
  BitwiseOr: byBits((a, b) => a | b),
  BitwiseXor: byBits((a, b) => a ^ b),
  BitwiseLeftShift: byBits((a, b) => a << b),
  LeftShift: byBits((a, b) => a << b),
  BitwiseRightShift: byBits((a, b) => a >> b),
  RightShift: byBits((a, b) => a >> b),
  Nextafter: nextAfter,
  Gcd: byBits(commonDivisor),
  Lcm: byBits((a, b) => (a === 0 || b === 0 ? 0 : Math.abs(a * b) / commonDivisor(a, b))),
  Heaviside: (a, b) => tf.where(tf.equal(a, 0), tf.mul(b, tf.onesLike(a)), asFloat(tf.greater(a, 0))),
  Ldexp: scaledByPower,
  Equal: tf.equal,
  NotEqual: tf.notEqual,
  Greater: tf.greater,
  GreaterEqual: tf.greaterEqual,
  Less: tf.less,
  LessEqual: tf.lessEqual,
  LogicalAnd: (a, b) => tf.logicalAnd(asBool(a), asBool(b)),
  LogicalOr: (a, b) => tf.logicalOr(asBool(a), asBool(b)),
  LogicalXor: (a, b) => tf.logicalXor(asBool(a), asBool(b)),
};

type Unary = (x: tf.Tensor, call: KernelCall) => tf.Tensor;

const unary: Readonly<Record<string, Unary>> = {
  Absolute: (x) => tf.abs(x),
  Negative: (x) => tf.neg(x),
  Square: (x) => tf.square(x),
  Sign: (x) => tf.sign(x),
  BitwiseNot: complement,
  BitwiseInvert: complement,
  View: reinterpreted,
  Conjugate: (x) => x,
  Real: (x) => x,
  Imag: (x) => tf.zerosLike(x),
  Isreal: (x) => tf.onesLike(asBool(x)),
  Copy: (x) => x,
  Array: (x) => x,
  ConvertToTensor: inNamedType,
  EmptyLike: (x, call) => inNamedType(tf.zerosLike(x), call),
  Digitize: (x, call) => binned(x, [argumentOf(call, 1, "bins")].flat() as number[]),
  NanToNum: finite,
  Isfinite: (x) => tf.isFinite(asFloat(x)),
  Isinf: (x) => tf.isInf(asFloat(x)),
  Isnan: (x) => tf.isNaN(asFloat(x)),
  Isposinf: (x) => tf.equal(x, Number.POSITIVE_INFINITY),
  Isneginf: (x) => tf.equal(x, Number.NEGATIVE_INFINITY),
  // Comparisons do not distinguish negative zero on any backend.
  Signbit: (x) => tf.logicalOr(tf.less(x, 0), tf.equal(tf.reciprocal(asFloat(x)), Number.NEGATIVE_INFINITY)),
  Clip: (x, { config }) => tf.clipByValue(x, numberAt(config, "x_min"), numberAt(config, "x_max")),
  Threshold: threshold,
  LogicalNot: (x) => tf.logicalNot(asBool(x)),
  StopGradient: (x) => stopGradient(x),
  OnesLike: (x, call) => inNamedType(tf.onesLike(x), call),
  ZerosLike: (x, call) => inNamedType(tf.zerosLike(x), call),
  FullLike: (x, call) =>
    cast(
      tf.fill(x.shape, argumentOf(call, 1, "fill_value") as number),
      String(call.config["dtype"] ?? x.dtype),
    ),
  SaturateCast: saturated,
  Cast: (x, { config }) => cast(x, String(config["dtype"])),
};

/** Functions that cast their input to floats. */
const floating: Readonly<Record<string, Unary>> = {
  Sqrt: (x) => tf.sqrt(x),
  Rsqrt: (x) => tf.rsqrt(x),
  Reciprocal: (x) => tf.reciprocal(x),
  Exp: (x) => tf.exp(x),
  Expm1: (x) => tf.expm1(x),
  Log: (x) => tf.log(x),
  Log1p: (x) => tf.log1p(x),
  Log2: (x) => tf.mul(tf.log(x), Math.LOG2E),
  Log10: (x) => tf.mul(tf.log(x), Math.LOG10E),
  Sin: (x) => tf.sin(x),
  Cos: (x) => tf.cos(x),
  Tan: (x) => tf.tan(x),
  Sinh: (x) => tf.sinh(x),
  Cosh: (x) => tf.cosh(x),
  Arcsin: (x) => tf.asin(x),
  Arccos: (x) => tf.acos(x),
  Arctan: (x) => tf.atan(x),
  Arcsinh: (x) => tf.asinh(x),
  Arccosh: (x) => tf.acosh(x),
  Arctanh: (x) => tf.atanh(x),
  Erf: (x) => tf.erf(x),
  Erfinv: inverseErrorFunction,
  I0: besselI0,
  Angle: (x) => tf.mul(asFloat(tf.less(x, 0)), Math.PI),
  Erfc: (x) => tf.sub(1, tf.erf(x)),
  Cbrt: (x) => tf.mul(tf.sign(x), tf.pow(tf.abs(x), 1 / 3)),
  Exp2: (x) => tf.exp(tf.mul(x, Math.LN2)),
  Deg2rad: (x) => tf.mul(x, Math.PI / 180),
  Rad2deg: (x) => tf.mul(x, 180 / Math.PI),
  Sinc: sinc,
  Trunc: truncated,
  Fabs: (x) => tf.abs(x),
  ReLU: (x, { config }) =>
    generalRelu(
      x,
      numberAt(config, "negative_slope"),
      config["max_value"] as number | null,
      numberAt(config, "threshold"),
    ),
  Floor: (x) => tf.floor(x),
  Ceil: (x) => tf.ceil(x),
  Round: (x) => tf.round(x),
  LeakyRelu: (x, { config }) => leakyRelu(x, numberAt(config, "negative_slope")),
  Elu: (x, { config }) => elu(x, numberAt(config, "alpha")),
  Celu: (x, { config }) => celu(x, numberAt(config, "alpha")),
  Gelu: (x, { config }) => gelu(x, config["approximate"] === true),
  Squareplus: (x, { config }) => squareplus(x, numberAt(config, "b")),
  SoftShrink: (x, { config }) => softShrink(x, numberAt(config, "threshold")),
  HardShrink: (x, { config }) => hardShrink(x, numberAt(config, "threshold")),
  Glu: (x, { config }) => glu(x, numberAt(config, "axis")),
  Sparsemax: (x, { config }) => sparsemax(x, numberAt(config, "axis")),
  Softmax: (x, { config }) => softmax(x, [numberAt(config, "axis")]),
  LogSoftmax: (x, { config }) => logSoftmax(x, numberAt(config, "axis")),
  ...Object.fromEntries(
    Object.entries({
      Relu: "relu",
      Relu6: "relu6",
      Selu: "selu",
      Silu: "silu",
      Sigmoid: "sigmoid",
      SparseSigmoid: "sparse_sigmoid",
      HardSigmoid: "hard_sigmoid",
      HardSilu: "hard_silu",
      HardTanh: "hard_tanh",
      LogSigmoid: "log_sigmoid",
      Softplus: "softplus",
      SparsePlus: "sparse_plus",
      Softsign: "softsign",
      Tanh: "tanh",
      TanhShrink: "tanh_shrink",
    }).map(([className, name]) => [className, activationNamed(name, 3)]),
  ),
};

export const elementwiseOpKernels: Readonly<Record<string, Kernel>> = Object.fromEntries([
  ...Object.entries(binary).map(([name, compute]): [string, Kernel] => [
    `ops.${name}`,
    (call) => {
      const [a, b] = operandsOf(call, 2);
      return compute(a!, b!);
    },
  ]),
  ...Object.entries(unary).map(([name, compute]): [string, Kernel] => [
    `ops.${name}`,
    (call) => compute(operandsOf(call, 1)[0], call),
  ]),
  ...Object.entries(floating).map(([name, compute]): [string, Kernel] => [
    `ops.${name}`,
    (call) => compute(asFloat(operandsOf(call, 1)[0]), call),
  ]),
  ["ops.Where", where],
  ["ops.Isclose", isClose],
]);

/** Compares with a relative and an absolute tolerance, given as arguments or, for `AllClose`, in the config. */
export function isClose(call: KernelCall): tf.Tensor {
  const [a, b] = operandsOf(call, 2);
  const relative = (argumentOf(call, 2, "rtol") ?? call.config["rtol"] ?? 1e-5) as number;
  const absolute = (argumentOf(call, 3, "atol") ?? call.config["atol"] ?? 1e-8) as number;
  const near = tf.lessEqual(tf.abs(tf.sub(a, b)), tf.add(tf.mul(tf.abs(b), relative), absolute));
  const close = tf.logicalOr(near, tf.equal(a, b));
  if (!isTrueAt(call.config, "equal_nan")) return close;
  return tf.logicalOr(close, tf.logicalAnd(tf.isNaN(asFloat(a)), tf.isNaN(asFloat(b))));
}

/**
 * Selects by a condition. The form with one argument returns positions, which have no fixed shape, and is not
 * supported.
 */
function where(call: KernelCall): tf.Tensor {
  const [condition, a, b] = operandsOf(call, 3);
  return tf.where(asBool(condition!), a!, b!);
}

function inNamedType(x: tf.Tensor, { config }: KernelCall): tf.Tensor {
  return config["dtype"] == null ? x : cast(x, String(config["dtype"]));
}

function threshold(x: tf.Tensor, call: KernelCall): tf.Tensor {
  const { config } = call;
  const limit = argumentOf(call, 1, "threshold") ?? config["threshold"];
  const otherwise = argumentOf(call, 2, "default_value") ?? config["default_value"];
  return tf.where(tf.greater(x, limit as number), x, tf.fill(x.shape, otherwise as number));
}

function commonType(a: tf.Tensor, b: tf.Tensor): "int32" | "float32" {
  return a.dtype === "int32" && b.dtype === "int32" ? "int32" : "float32";
}
