/** @file Reductions on the WebAssembly backend, which is fast along the last axis only, and segment sums. */

import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { KernelCall } from "./replace-kernel.ts";
import { onHeap, wrap } from "./replace-kernel.ts";

interface Attributes {
  readonly axis?: number | readonly number[] | null;
  readonly reductionIndices?: number | readonly number[] | null;
  readonly keepDims?: boolean;
}

/** The part of `x` that is reduced: its leading axes, the plane of images `[N, H, W, C]`, or anything else. */
type Kind = "leading" | "plane" | "other";

/** Registers sums, means and maxima of leading axes, and of the plane of images, as a pooling with a single window. */
export function registerReductions(): void {
  replaceWhere("Sum", (x, kind, count) => tf.mul(pooled("AvgPool", x, kind, count), count));
  replaceWhere("Mean", (x, kind, count) => pooled("AvgPool", x, kind, count));
  replaceWhere("Max", (x, kind, count) => pooled("MaxPool", x, kind, count));
}

function pooled(kernel: string, x: tf.Tensor, kind: Kind, count: number): tf.Tensor {
  const images = kind === "plane" ? x : tf.reshape(x, [1, count, 1, x.size / count]);
  const window = [sizeAt(images.shape, 1), sizeAt(images.shape, 2)];
  return tf.engine().runKernel(kernel, { x: images }, { filterSize: window, strides: window, pad: "valid" });
}

function replaceWhere(
  kernelName: string,
  compute: (x: tf.Tensor, kind: Kind, count: number) => tf.Tensor,
): void {
  wrap(kernelName, (call, original) => {
    const x = call.inputs["x"] as tf.Tensor;
    const axes = reducedAxes(call, x.shape.length);
    const kind = kindOf(x, axes);
    if (kind === "other") return original(call);
    const count = axes.reduce((all, axis) => all * sizeAt(x.shape, axis), 1);
    const shape = x.shape.flatMap((size, axis) =>
      axes.includes(axis) ? ((call.attrs as Attributes).keepDims ? [1] : []) : [size],
    );
    return tf.tidy(() => tf.reshape(compute(x, kind, count), shape));
  });
}

function reducedAxes(call: KernelCall, rank: number): number[] {
  const { axis, reductionIndices } = call.attrs as Attributes;
  return tf.util.parseAxisParam((axis ?? reductionIndices) as number[], Array(rank).fill(1));
}

function kindOf(x: tf.Tensor, axes: readonly number[]): Kind {
  const rank = x.shape.length;
  const count = axes.reduce((all, axis) => all * sizeAt(x.shape, axis), 1);
  if (x.dtype !== "float32" || x.size === 0 || count === 1 || axes.length === rank) return "other";
  if (axes.every((_, axis) => axes.includes(axis))) return "leading";
  return rank === 4 && axes.length === 2 && axes.includes(1) && axes.includes(2) ? "plane" : "other";
}

export function registerSegmentSum(): void {
  onHeap("UnsortedSegmentSum", {
    reads: ["x", "segmentIds"],
    shapes: ["x"],
    shapeOf: ([shape], { numSegments }: { numSegments: number }) => [numSegments, ...shape.slice(1)],
    compute: ([values, ids], sums) => segmentSum(values, ids, sums),
  });
}

/** Adds up the rows of each segment. Rows with a negative segment are dropped. */
function segmentSum(values: Float32Array, ids: Float32Array, sums: Float32Array): void {
  const width = values.length / ids.length;
  sums.fill(0);
  for (let row = 0; row < ids.length; row++) {
    const segment = ids[row]!;
    if (segment < 0) continue;
    const start = segment * width;
    for (let column = 0; column < width; column++) sums[start + column]! += values[row * width + column]!;
  }
}
