/** @file Gradients of reading from and writing to places given by indices. */

import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { GradientCall, GradientRule } from "./rule.ts";
import { axisOf, rule, stop } from "./rule.ts";

export const indexingGradients: readonly GradientRule[] = [
  rule<Gather>("GatherV2", { x: { reads: ["indices"], of: gathered } }),
  rule("GatherNd", {
    params: {
      reads: ["indices"],
      of: ({ dy, the }) => tf.scatterND(the("indices"), dy, the("params").shape as never),
    },
  }),
  rule("ScatterNd", {
    updates: { reads: ["indices"], of: ({ dy, the }) => tf.gatherND(dy, the("indices")) },
  }),
  rule("TensorScatterUpdate", {
    tensor: {
      reads: ["indices"],
      of: ({ dy, the }) => tf.tensorScatterUpdate(dy, the("indices"), tf.zeros(the("updates").shape)),
    },
    updates: { reads: ["indices"], of: ({ dy, the }) => tf.gatherND(dy, the("indices")) },
  }),
  rule("UnsortedSegmentSum", {
    x: {
      reads: ["segmentIds"],
      of: ({ dy, the }) => {
        const ids = the("segmentIds") as tf.Tensor1D;
        const rows = tf.gather(dy, tf.maximum(ids, tf.scalar(0, "int32")) as tf.Tensor1D);
        const inside = tf.cast(tf.greaterEqual(ids, 0), "float32");
        return tf.mul(rows, tf.reshape(inside, [ids.size, ...dy.shape.slice(1).map(() => 1)]));
      },
    },
  }),
  rule("TopK", {
    x: {
      reads: ["y1"],
      of: ({ dy, the }) => {
        const { shape, size } = the("x");
        const [length, chosen] = [sizeAt(shape, -1), sizeAt(dy.shape, -1)];
        const rows = tf.mul(tf.range(0, size / length, 1, "int32"), tf.scalar(length, "int32"));
        const places = tf.add(tf.reshape(the("y1"), [-1, chosen]), tf.reshape(rows, [-1, 1]));
        const flat = tf.scatterND(tf.reshape(places, [-1, 1]), tf.reshape(dy, [-1]), [size] as never);
        return tf.reshape(flat, shape);
      },
    },
  }),
  stop("OneHot", ["indices"]),
];

interface Gather {
  readonly axis: number;
  readonly batchDims: number;
}

/** Sums, for each place, the gradients of all its reads. */
function gathered({ dy, the, attributes: { axis, batchDims } }: GradientCall<Gather>): tf.Tensor {
  const { shape } = the("x");
  const indices = the("indices");
  const along = axisOf(axis, shape.length);
  const batch = product(shape.slice(0, batchDims));
  const middle = product(shape.slice(batchDims, along));
  const size = sizeAt(shape, along);
  const inner = product(shape.slice(along + 1));
  const reads = indices.size / batch;
  const rows = tf.transpose(tf.reshape(dy, [batch, middle, reads, inner]), [0, 2, 1, 3]);
  const offsets = tf.mul(tf.range(0, batch, 1, "int32"), tf.scalar(size, "int32"));
  const places = tf.add(
    tf.reshape(tf.cast(indices, "int32"), [batch, reads]),
    tf.reshape(offsets, [batch, 1]),
  );
  const sums = tf.unsortedSegmentSum(
    tf.reshape(rows, [batch * reads, middle * inner]),
    tf.reshape(places, [-1]) as tf.Tensor1D,
    batch * size,
  );
  return tf.reshape(tf.transpose(tf.reshape(sums, [batch, size, middle, inner]), [0, 2, 1, 3]), shape);
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((all, size) => all * size, 1);
}
