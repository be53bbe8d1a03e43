/** @file Gradients of functions of one number, defined at their corners as in TensorFlow. */
import { tf } from "../tf.ts";
import type { GradientRule } from "./rule.ts";
import { linear, rule, stop, sumTo, unary } from "./rule.ts";

export const elementwiseGradients: readonly GradientRule[] = [
  unary("Abs", "x", (dy, x) => tf.mul(dy, tf.sign(x))),
  unary("Acos", "x", (dy, x) => tf.neg(tf.div(dy, tf.sqrt(tf.sub(1, tf.square(x)))))),
  unary("Acosh", "x", (dy, x) => tf.div(dy, tf.sqrt(tf.sub(tf.square(x), 1)))),
  unary("Asin", "x", (dy, x) => tf.div(dy, tf.sqrt(tf.sub(1, tf.square(x))))),
  unary("Asinh", "x", (dy, x) => tf.div(dy, tf.sqrt(tf.add(tf.square(x), 1)))),
  unary("Atan", "x", (dy, x) => tf.div(dy, tf.add(tf.square(x), 1))),
  unary("Atanh", "x", (dy, x) => tf.div(dy, tf.sub(1, tf.square(x)))),
  linear<{ dtype: tf.DataType }>("Cast", (dy, shape, { dtype }) =>
    dtype === "float32" ? tf.clone(dy) : tf.zeros([...shape]),
  ),
  unary<{ clipValueMin: number; clipValueMax: number }>(
    "ClipByValue",
    "x",
    (dy, x, { clipValueMin, clipValueMax }) =>
      where(tf.logicalAnd(tf.greaterEqual(x, clipValueMin), tf.lessEqual(x, clipValueMax)), dy, 0),
  ),
  unary("Cos", "x", (dy, x) => tf.neg(tf.mul(dy, tf.sin(x)))),
  unary("Cosh", "x", (dy, x) => tf.mul(dy, tf.sinh(x))),
  unary("Elu", "y", (dy, y) => run("EluGrad", { dy, y })),
  unary("Erf", "x", (dy, x) => tf.mul(dy, tf.mul(tf.exp(tf.neg(tf.square(x))), 2 / Math.sqrt(Math.PI)))),
  unary("Exp", "y", (dy, y) => tf.mul(dy, y)),
  unary("Expm1", "y", (dy, y) => tf.mul(dy, tf.add(y, 1))),
  linear("Identity", (dy) => tf.clone(dy)),
  unary<{ alpha: number }>("LeakyRelu", "x", (dy, x, { alpha }) =>
    where(tf.greater(x, 0), dy, tf.mul(dy, alpha)),
  ),
  unary("Log", "x", (dy, x) => tf.div(dy, x)),
  unary("Log1p", "x", (dy, x) => tf.div(dy, tf.add(x, 1))),
  linear("Neg", (dy) => tf.neg(dy)),
  rule("Prelu", {
    x: {
      reads: ["x", "alpha"],
      of: ({ dy, the }) => where(tf.greater(the("x"), 0), dy, tf.mul(dy, the("alpha"))),
    },
    alpha: {
      reads: ["x"],
      of: ({ dy, the }) => sumTo(tf.mul(dy, tf.minimum(the("x"), 0)), the("alpha").shape),
    },
  }),
  unary("Reciprocal", "y", (dy, y) => tf.neg(tf.mul(dy, tf.square(y)))),
  unary("Relu", "y", (dy, y) => run("ReluGrad", { dy, y })),
  unary("Relu6", "y", (dy, y) => run("Relu6Grad", { dy, y })),
  unary("Rsqrt", "y", (dy, y) => tf.mul(dy, tf.mul(tf.mul(tf.square(y), y), -0.5))),
  unary("Selu", "y", (dy, y) => run("SeluGrad", { dy, y })),
  unary("Sigmoid", "y", (dy, y) => run("SigmoidGrad", { dy, y })),
  unary("Sin", "x", (dy, x) => tf.mul(dy, tf.cos(x))),
  unary("Sinh", "x", (dy, x) => tf.mul(dy, tf.cosh(x))),
  unary("Softplus", "x", (dy, x) => tf.mul(dy, tf.sigmoid(x))),
  unary("Sqrt", "y", (dy, y) => tf.div(tf.mul(dy, 0.5), y)),
  unary("Square", "x", (dy, x) => tf.mul(dy, tf.mul(x, 2))),
  unary("Tan", "y", (dy, y) => tf.mul(dy, tf.add(tf.square(y), 1))),
  unary("Tanh", "y", (dy, y) => run("TanhGrad", { dy, y })),
  ...[
    "Ceil",
    "Floor",
    "Round",
    "Sign",
    "Step",
    "IsFinite",
    "IsInf",
    "IsNan",
    "LogicalNot",
    "OnesLike",
    "ZerosLike",
  ].map((kernel) => stop(kernel, ["x"])),
];

function run(kernel: string, inputs: tf.NamedTensorMap): tf.Tensor {
  return tf.engine().runKernel(kernel, inputs);
}

function where(condition: tf.Tensor, yes: tf.Tensor, no: tf.Tensor | 0): tf.Tensor {
  return tf.where(condition as tf.Tensor<tf.Rank>, yes, no === 0 ? tf.zerosLike(yes) : no);
}
