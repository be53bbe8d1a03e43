/** @file Gradients of operations that move, repeat, join and cut tensors without changing values. */

import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { GradientRule } from "./rule.ts";
import { axesOf, axisOf, linear, listRule, rule } from "./rule.ts";

type Paddings = readonly (readonly [number, number])[];

export const shapeGradients: readonly GradientRule[] = [
  linear("Reshape", (dy, shape) => tf.reshape(dy, [...shape])),
  linear("ExpandDims", (dy, shape) => tf.reshape(dy, [...shape]), "input"),
  linear<{ perm: readonly number[] }>("Transpose", (dy, _shape, { perm }) =>
    tf.transpose(
      dy,
      perm.map((_, axis) => perm.indexOf(axis)),
    ),
  ),
  linear<{ dims: number | readonly number[] }>("Reverse", (dy, _shape, { dims }) =>
    tf.reverse(dy, axesOf(dims, dy.rank)),
  ),
  linear("FlipLeftRight", (dy) => tf.image.flipLeftRight(dy as tf.Tensor4D), "image"),
  linear<{ reps: readonly number[] }>("Tile", (dy, _shape, { reps }) =>
    reps.reduce(
      (sum, count, axis) => (count === 1 ? sum : sumOfCopies(sum, axis, count)),
      tf.reshape(dy, dy.shape),
    ),
  ),
  listRule<{ axis: number }>("Concat", (dy, { shape, earlier }, { axis }) => {
    const along = axisOf(axis, dy.rank);
    const begin = dy.shape.map(() => 0);
    begin[along] = earlier.reduce((sum, before) => sum + sizeAt(before, along), 0);
    return tf.slice(dy, begin, [...shape]);
  }),
  listRule<{ axis: number }>("Pack", (dy, { shape, position }, { axis }) => {
    const along = axisOf(axis, dy.rank);
    const begin = dy.shape.map((_, index) => (index === along ? position : 0));
    const size = dy.shape.map((extent, index) => (index === along ? 1 : extent));
    return tf.reshape(tf.slice(dy, begin, size), [...shape]);
  }),
  rule<{ axis: number }>("Unpack", {
    value: { reads: [], of: ({ dys, attributes: { axis } }) => tf.stack([...dys], axis) },
  }),
  rule<{ axis: number }>("SplitV", {
    x: { reads: [], of: ({ dys, attributes: { axis } }) => tf.concat([...dys], axis) },
  }),
  linear<{ begin: number | number[]; size: number | number[] }>("Slice", (dy, shape, { begin }) => {
    const starts = [begin].flat();
    return tf.pad(
      dy,
      shape.map((size, axis) => {
        const start = starts[axis] ?? 0;
        return [start, size - start - sizeAt(dy.shape, axis)];
      }),
    );
  }),
  rule<StridedSlice>("StridedSlice", {
    x: { reads: [], of: ({ dy, the, attributes }) => unslice(dy, the("x").shape, attributes) },
  }),
  linear<{ paddings: Paddings }>("PadV2", (dy, shape, { paddings }) =>
    tf.slice(
      dy,
      paddings.map(([before]) => before),
      [...shape],
    ),
  ),
  linear<{ paddings: Paddings; mode: "reflect" | "symmetric" }>(
    "MirrorPad",
    (dy, shape, { paddings, mode }) =>
      paddings.reduce(
        (sum, padding, axis) =>
          foldMirror(sum, axis, padding, sizeAt(shape, axis), mode === "reflect" ? 1 : 0),
        tf.reshape(dy, dy.shape),
      ),
  ),
  linear<{ blockShape: number[]; crops: [number, number][] }>(
    "BatchToSpaceND",
    (dy, _shape, { blockShape, crops }) => tf.spaceToBatchND(dy, blockShape, crops),
  ),
  linear<{ blockShape: number[]; paddings: [number, number][] }>(
    "SpaceToBatchND",
    (dy, _shape, { blockShape, paddings }) => tf.batchToSpaceND(dy, blockShape, paddings),
  ),
  linear<{ blockSize: number }>("DepthToSpace", (dy, shape, { blockSize: block }) => {
    const [batch, height, width] = shape as [number, number, number, number];
    const blocks = tf.reshape(dy, [batch * height, block, width, block * sizeAt(dy.shape, 3)]);
    return tf.reshape(tf.transpose(blocks, [0, 2, 1, 3]), [...shape]);
  }),
];

/** Sums the gradient `dy` of a tiled axis over its copies. */
function sumOfCopies(dy: tf.Tensor, axis: number, count: number): tf.Tensor {
  const size = sizeAt(dy.shape, axis) / count;
  const [outer, inner] = around(dy.shape, axis);
  const sum = tf.sum(tf.reshape(dy, [outer, count, size, inner]), 1);
  return tf.reshape(
    sum,
    dy.shape.map((extent, index) => (index === axis ? size : extent)),
  );
}

/** Returns the number of elements before and behind an axis. */
function around(shape: readonly number[], axis: number): [number, number] {
  const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);
  return [product(shape.slice(0, axis)), product(shape.slice(axis + 1))];
}

/**
 * Adds the mirrored borders of one axis to the values that they mirror. `skip` is 1 if the edge itself is not repeated.
 */
function foldMirror(
  dy: tf.Tensor,
  axis: number,
  [before, after]: readonly [number, number],
  size: number,
  skip: number,
): tf.Tensor {
  const part = (start: number, length: number): tf.Tensor => {
    const begin = dy.shape.map((_, index) => (index === axis ? start : 0));
    return tf.slice(
      dy,
      begin,
      dy.shape.map((extent, index) => (index === axis ? length : extent)),
    );
  };
  const place = (border: tf.Tensor, start: number): tf.Tensor =>
    tf.pad(
      tf.reverse(border, axis),
      border.shape.map((extent, index) => (index === axis ? [start, size - start - extent] : [0, 0])),
    );
  let sum = part(before, size);
  if (before > 0) sum = tf.add(sum, place(part(0, before), skip));
  if (after > 0) sum = tf.add(sum, place(part(before + size, after), size - after - skip));
  return sum;
}

/** Attributes of the StridedSlice kernel. */
export interface StridedSlice {
  readonly begin: number[];
  readonly end: number[];
  readonly strides: number[];
  readonly beginMask: number;
  readonly endMask: number;
  readonly ellipsisMask: number;
  readonly newAxisMask: number;
  readonly shrinkAxisMask: number;
}

/** Puts `dy` back where a strided slice of `shape` was taken, with zeros elsewhere. */
function unslice(dy: tf.Tensor, shape: readonly number[], slice: StridedSlice): tf.Tensor {
  const { begin, strides, end } = tf.slice_util.sliceInfo(
    [...shape],
    slice.begin,
    slice.end,
    slice.strides,
    slice.beginMask,
    slice.endMask,
    slice.ellipsisMask,
    slice.newAxisMask,
    slice.shrinkAxisMask,
  );
  const ranges = shape.map((size, axis) => {
    const [start, stride] = [sizeAt(begin, axis), sizeAt(strides, axis)];
    return { size, start, stride, count: Math.ceil((sizeAt(end, axis) - start) / stride) };
  });
  return ranges.reduce(
    (spread, { size, start, stride, count }, axis) => {
      const [outer, inner] = around(spread.shape, axis);
      const step = Math.abs(stride);
      const span = (count - 1) * step + 1;
      const first = stride > 0 ? start : start - (span - 1);
      const ordered = stride > 0 ? spread : tf.reverse(spread, axis);
      const gaps = tf.pad(tf.reshape(ordered, [outer, count, 1, inner]), [
        [0, 0],
        [0, 0],
        [0, step - 1],
        [0, 0],
      ]);
      const line = tf.slice(tf.reshape(gaps, [outer, count * step, inner]), [0, 0, 0], [outer, span, inner]);
      const placed = tf.pad(line, [
        [0, 0],
        [first, size - first - span],
        [0, 0],
      ]);
      return tf.reshape(
        placed,
        spread.shape.map((extent, index) => (index === axis ? size : extent)),
      );
    },
    tf.reshape(
      dy,
      ranges.map(({ count }) => count),
    ),
  );
}
