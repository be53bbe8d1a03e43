/** @file Transposition, whose shader in tfjs's WebGPU backend compiles for numbers with a fraction and low ranks only. */
import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import { replaceKernel } from "./replace-kernel.ts";

type Transpose = (x: tf.Tensor, order: readonly number[]) => tf.Tensor;

/** The part of a whole number that a float holds exactly beside another of its size. */
const half = 2 ** 16;

/** Replaces the kernel by one for every type and rank. */
export function registerTransposition(): void {
  // tfjs's own cast to float32 leaves a buffer of whole numbers, which this shader and others read as what they are.
  replaceKernel<{ x: tf.Tensor }, { dtype: tf.DataType }>("Cast", ({ x }, { dtype }, original) =>
    dtype === "float32" && (x.dtype === "int32" || x.dtype === "bool")
      ? tf.mul(original({ x }), 1)
      : original({ x }),
  );
  replaceKernel<{ x: tf.Tensor }, { perm: readonly number[] }>("Transpose", ({ x }, { perm }, original) => {
    const floats: Transpose = (values, order) => original({ x: values }, { perm: order });
    const transpose: Transpose = (values, order) =>
      order.length > 4 ? transposedInSteps(values, order, floats) : floats(values, order);
    if (x.dtype === "int32") {
      const high = tf.floorDiv(x, tf.scalar(half, "int32"));
      const low = tf.sub(x, tf.mul(high, tf.scalar(half, "int32")));
      const [upper, lower] = [high, low].map((part) =>
        tf.cast(transpose(tf.cast(part, "float32"), perm), "int32"),
      ) as [tf.Tensor, tf.Tensor];
      return tf.add(tf.mul(upper, tf.scalar(half, "int32")), lower);
    }
    if (x.dtype === "bool") return tf.cast(transpose(tf.cast(x, "float32"), perm), "bool");
    return transpose(x, perm);
  });
}

/** Reductions, which the backend transposes by itself where the axes are not the last ones. */
const reductions = ["All", "Any", "ArgMax", "ArgMin", "Max", "Mean", "Min", "Prod", "Sum"];

interface ReductionAttributes {
  readonly axis?: number | readonly number[] | null;
  readonly keepDims?: boolean;
}

/** Replaces reductions by ones that transpose whole numbers and booleans in the way that works. */
export function registerReductions(): void {
  for (const kernel of reductions) {
    replaceKernel<{ x: tf.Tensor }, ReductionAttributes>(kernel, ({ x }, attributes, original) => {
      const rank = x.shape.length;
      const axes = tf.util.parseAxisParam(attributes.axis as number[], [...x.shape]);
      const order = x.dtype === "float32" ? undefined : tf.backend_util.getAxesPermutation(axes, rank);
      if (!order) return original({ x });
      const last = tf.backend_util.getInnerMostAxes(axes.length, rank);
      const axis = typeof attributes.axis === "number" ? last[0] : last;
      const reduced = original({ x: tf.transpose(x, order) }, { ...attributes, axis, keepDims: false });
      if (attributes.keepDims !== true) return reduced;
      return tf.reshape(reduced, tf.backend_util.expandShapeToKeepDim(reduced.shape, axes));
    });
  }
}

/** Moves one run of axes after the other to the front, the last one first, each as the second of three axes. */
function transposedInSteps(x: tf.Tensor, order: readonly number[], transpose: Transpose): tf.Tensor {
  const runs = runsOf(order);
  let standing = [...runs].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0));
  let moved = x;
  const sizeOf = (run: readonly number[]): number =>
    run.reduce((all, axis) => all * sizeAt(x.shape, axis), 1);
  for (const run of [...runs].reverse()) {
    const place = standing.indexOf(run);
    const outer = standing.slice(0, place).reduce((all, other) => all * sizeOf(other), 1);
    if (place > 0) moved = transpose(tf.reshape(moved, [outer, sizeOf(run), -1]), [1, 0, 2]);
    standing = [run, ...standing.filter((other) => other !== run)];
  }
  return tf.reshape(
    moved,
    order.map((axis) => sizeAt(x.shape, axis)),
  );
}

/** Returns the axes in their new order, those that stay neighbors together. */
function runsOf(order: readonly number[]): readonly (readonly number[])[] {
  const runs: number[][] = [];
  for (const axis of order) {
    const last = runs.at(-1);
    if (last && last.at(-1) === axis - 1) last.push(axis);
    else runs.push([axis]);
  }
  return runs;
}
