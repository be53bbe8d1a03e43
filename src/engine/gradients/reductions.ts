/** @file Gradients of sums, extremes and products along axes, and of softmax. */
import { tf } from "../tf.ts";
import type { GradientCall, GradientRule } from "./rule.ts";
import { axesOf, broadcast, keptShape, rule, stop } from "./rule.ts";

interface Reduction {
  readonly axis?: number | readonly number[] | null;
  readonly reductionIndices?: number | readonly number[] | null;
}

interface Accumulation {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

export const reductionGradients: readonly GradientRule[] = [
  rule<Reduction>("Sum", {
    x: {
      reads: [],
      of: ({ dy, the, attributes }) => {
        const { shape } = the("x");
        return broadcast(tf.reshape(dy, keptShape(shape, axesOf(attributes.axis, shape.length))), shape);
      },
    },
  }),
  rule<Reduction>("Mean", {
    x: {
      reads: [],
      of: ({ dy, the, attributes }) => {
        const { shape, size } = the("x");
        const kept = keptShape(shape, axesOf(attributes.axis, shape.length));
        return broadcast(tf.reshape(tf.div(dy, size / dy.size), kept), shape);
      },
    },
  }),
  rule<Reduction>("Max", { x: { reads: ["x", "y"], of: sharedAmongEqual } }),
  rule<Reduction>("Min", { x: { reads: ["x", "y"], of: sharedAmongEqual } }),
  rule<Reduction>("Prod", { x: { reads: ["x"], of: productOfOthers } }),
  rule<Accumulation>("Cumsum", {
    x: {
      reads: [],
      of: ({ dy, attributes: { axis, exclusive, reverse } }) => tf.cumsum(dy, axis, exclusive, !reverse),
    },
  }),
  rule<Accumulation>("Cumprod", {
    x: {
      reads: ["x", "y"],
      of: ({ dy, the, attributes: { axis, exclusive, reverse } }) =>
        tf.div(tf.cumsum(tf.mul(dy, the("y")), axis, exclusive, !reverse), the("x")),
    },
  }),
  rule<{ dim: number }>("Softmax", {
    logits: {
      reads: ["y"],
      of: ({ dy, the, attributes: { dim } }) => {
        const weighted = tf.mul(dy, the("y"));
        return tf.sub(weighted, tf.mul(tf.sum(weighted, [dim], true), the("y")));
      },
    },
  }),
  ...["All", "Any", "ArgMax", "ArgMin"].map((kernel) => stop(kernel, ["x"])),
];

/** Computes the gradient of an extreme, shared equally among all values that equal it. */
function sharedAmongEqual({ dy, the, attributes }: GradientCall<Reduction>): tf.Tensor {
  const x = the("x");
  const axes = axesOf(attributes.axis ?? attributes.reductionIndices, x.rank);
  const kept = keptShape(x.shape, axes);
  const equal = tf.cast(tf.equal(x, tf.reshape(the("y"), kept)), "float32");
  return tf.mul(equal, tf.div(tf.reshape(dy, kept), tf.sum(equal, axes, true)));
}

/** Computes the gradient of a product, which is correct even if factors are zero. */
function productOfOthers({ dy, the, attributes }: GradientCall<Reduction>): tf.Tensor {
  const x = the("x");
  const axes = axesOf(attributes.axis, x.rank);
  const others = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const permutation = [...others, ...axes];
  const moved = tf.transpose(x, permutation);
  const rows = tf.reshape(moved, [dy.size, x.size / dy.size]);
  const product = tf.mul(tf.cumprod(rows, 1, true, false), tf.cumprod(rows, 1, true, true));
  const gradient = tf.mul(product, tf.reshape(dy, [dy.size, 1]));
  const back = permutation.map((_, axis) => permutation.indexOf(axis));
  return tf.transpose(tf.reshape(gradient, moved.shape), back);
}
