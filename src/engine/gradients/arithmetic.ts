/** @file Gradients of functions of two tensors that broadcast against each other, and of matrix products. */
import { tf } from "../tf.ts";
import type { GradientCall, GradientRule, InputRule } from "./rule.ts";
import { listRule, rule, stop, sumTo } from "./rule.ts";

type Of = (call: GradientCall<object>) => tf.Tensor;

export const arithmeticGradients: readonly GradientRule[] = [
  rule("Add", { a: reading([], ({ dy }) => dy, "a"), b: reading([], ({ dy }) => dy, "b") }),
  rule("Sub", { a: reading([], ({ dy }) => dy, "a"), b: reading([], ({ dy }) => tf.neg(dy), "b") }),
  rule("Multiply", {
    a: reading(["b"], ({ dy, the }) => tf.mul(dy, the("b")), "a"),
    b: reading(["a"], ({ dy, the }) => tf.mul(dy, the("a")), "b"),
  }),
  rule("RealDiv", {
    a: reading(["b"], ({ dy, the }) => tf.div(dy, the("b")), "a"),
    b: reading(["y", "b"], ({ dy, the }) => tf.neg(tf.div(tf.mul(dy, the("y")), the("b"))), "b"),
  }),
  rule("Maximum", {
    a: reading(["a", "b"], ({ dy, the }) => tf.mul(dy, floats(tf.greaterEqual(the("a"), the("b")))), "a"),
    b: reading(["a", "b"], ({ dy, the }) => tf.mul(dy, floats(tf.less(the("a"), the("b")))), "b"),
  }),
  rule("Minimum", {
    a: reading(["a", "b"], ({ dy, the }) => tf.mul(dy, floats(tf.lessEqual(the("a"), the("b")))), "a"),
    b: reading(["a", "b"], ({ dy, the }) => tf.mul(dy, floats(tf.greater(the("a"), the("b")))), "b"),
  }),
  rule("SquaredDifference", {
    a: reading(["a", "b"], ({ dy, the }) => tf.mul(dy, tf.mul(tf.sub(the("a"), the("b")), 2)), "a"),
    b: reading(["a", "b"], ({ dy, the }) => tf.mul(dy, tf.mul(tf.sub(the("b"), the("a")), 2)), "b"),
  }),
  rule("Pow", {
    a: reading(
      ["a", "b"],
      ({ dy, the }) => tf.mul(dy, tf.mul(the("b"), tf.pow(the("a"), tf.sub(the("b"), 1)))),
      "a",
    ),
    b: reading(["a", "y"], ({ dy, the }) => tf.mul(dy, tf.mul(the("y"), safeLog(the("a")))), "b"),
  }),
  rule("Mod", {
    a: reading([], ({ dy }) => dy, "a"),
    b: reading(["a", "b"], ({ dy, the }) => tf.neg(tf.mul(dy, tf.floor(tf.div(the("a"), the("b"))))), "b"),
  }),
  rule("Atan2", {
    a: reading(["a", "b"], ({ dy, the }) => tf.div(tf.mul(dy, the("b")), squaredNorm(the)), "a"),
    b: reading(["a", "b"], ({ dy, the }) => tf.neg(tf.div(tf.mul(dy, the("a")), squaredNorm(the))), "b"),
  }),
  rule(
    "Select",
    {
      t: { reads: ["condition"], of: ({ dy, the }) => tf.where(the("condition"), dy, tf.zerosLike(dy)) },
      e: { reads: ["condition"], of: ({ dy, the }) => tf.where(the("condition"), tf.zerosLike(dy), dy) },
    },
    ["condition"],
  ),
  listRule("AddN", (dy) => tf.clone(dy)),
  rule<{ transposeA: boolean; transposeB: boolean }>("BatchMatMul", {
    a: {
      reads: ["b"],
      of: ({ dy, the, attributes: { transposeA, transposeB } }) =>
        sumTo(
          transposeA
            ? tf.matMul(the("b"), dy, transposeB, true)
            : tf.matMul(dy, the("b"), false, !transposeB),
          the("a").shape,
        ),
    },
    b: {
      reads: ["a"],
      of: ({ dy, the, attributes: { transposeA, transposeB } }) =>
        sumTo(
          transposeB
            ? tf.matMul(dy, the("a"), true, transposeA)
            : tf.matMul(the("a"), dy, !transposeA, false),
          the("b").shape,
        ),
    },
  }),
  ...[
    "Equal",
    "NotEqual",
    "Greater",
    "GreaterEqual",
    "Less",
    "LessEqual",
    "LogicalAnd",
    "LogicalOr",
    "FloorDiv",
  ].map((kernel) => stop(kernel, ["a", "b"])),
];

/** Returns a rule that computes in the shape of the result and sums to the shape of `input`. */
function reading(reads: readonly string[], of: Of, input: "a" | "b"): InputRule<object> {
  return { reads, of: (call) => sumTo(of(call), call.the(input).shape) };
}

function floats(condition: tf.Tensor): tf.Tensor {
  return tf.cast(condition, "float32");
}

/** Computes the logarithm of positive values, and 0 for others. */
function safeLog(x: tf.Tensor): tf.Tensor {
  const positive = tf.greater(x, 0);
  return tf.where(positive, tf.log(tf.where(positive, x, tf.onesLike(x))), tf.zerosLike(x));
}

function squaredNorm(the: (name: string) => tf.Tensor): tf.Tensor {
  return tf.add(tf.square(the("a")), tf.square(the("b")));
}
