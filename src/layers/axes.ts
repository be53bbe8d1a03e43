import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";

/** Returns the index of an axis in a tensor of `rank` dimensions. Negative axes count from the end. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

export function axesOf(axes: readonly number[], rank: number): number[] {
  return axes.map((axis) => axisOf(axis, rank));
}

/** Reads the values of a tensor in rows of `width`. */
export function rowsOf(x: tf.Tensor, width: number): number[][] {
  const values = Array.from(x.dataSync());
  return Array.from({ length: values.length / width }, (_, row) =>
    values.slice(row * width, (row + 1) * width),
  );
}

/** Returns the order that undoes a transposition. */
export function inverseOrder(order: readonly number[]): number[] {
  return order.map((_, position) => order.indexOf(position));
}

/** A shape `[..., size, ...]` reduced to `[before, size, after]`. */
export interface Split3 {
  readonly before: number;
  readonly size: number;
  readonly after: number;
}

export function splitAt(shape: readonly number[], axis: number): Split3 {
  return {
    before: product(shape.slice(0, axis)),
    size: sizeAt(shape, axis),
    after: product(shape.slice(axis + 1)),
  };
}

/** Applies `compute` to `x` reshaped to `[before, size, after]`. Its result may have another size. */
export function alongAxis(x: tf.Tensor, axis: number, compute: (value: tf.Tensor) => tf.Tensor): tf.Tensor {
  const { before, size, after } = splitAt(x.shape, axis);
  const result = compute(tf.reshape(x, [before, size, after]));
  return tf.reshape(result, [...x.shape.slice(0, axis), sizeAt(result.shape, 1), ...x.shape.slice(axis + 1)]);
}

/** Repeats each slice along an axis `times` times in succession. */
export function repeatAxis(x: tf.Tensor, axis: number, times: number): tf.Tensor {
  if (times === 1) return x;
  return alongAxis(x, axis, (value) => {
    const [before, size, after] = value.shape as [number, number, number];
    const repeated = tf.tile(tf.reshape(value, [before * size, 1, after]), [1, times, 1]);
    return tf.reshape(repeated, [before, size * times, after]);
  });
}

/** Takes `count` slices along an axis, from `start` on, every `step`-th (at least 1). */
export function everyNth(x: tf.Tensor, axis: number, start: number, count: number, step: number): tf.Tensor {
  return alongAxis(x, axis, (value) => {
    const [before, size, after] = value.shape as [number, number, number];
    if (step === 1) return tf.slice(value, [0, start, 0], [before, count, after]);
    const missing = Math.max(0, start + count * step - size);
    const long = missing === 0 ? value : padAxis(value, 1, 0, missing);
    const spans = tf.slice(long, [0, start, 0], [before, count * step, after]);
    const first = tf.slice(
      tf.reshape(spans, [before, count, step * after]),
      [0, 0, 0],
      [before, count, after],
    );
    return tf.reshape(first, [before, count, after]);
  });
}

/** Pads one axis before and after by zeros or `value`. Negative numbers crop. */
export function padAxis(x: tf.Tensor, axis: number, before: number, after: number, value = 0): tf.Tensor {
  const start = Math.max(0, -before);
  const size = sizeAt(x.shape, axis) - start - Math.max(0, -after);
  const kept = size === sizeAt(x.shape, axis) ? x : everyNth(x, axis, start, size, 1);
  if (before <= 0 && after <= 0) return kept;
  return tf.pad(
    kept,
    x.shape.map((_, index): [number, number] =>
      index === axis ? [Math.max(0, before), Math.max(0, after)] : [0, 0],
    ),
    value,
  );
}

/** Extends an axis by `count` slices at each end, mirrored without the border itself. */
export function mirrorAxis(x: tf.Tensor, axis: number, count: number): tf.Tensor {
  const size = sizeAt(x.shape, axis);
  const before = tf.reverse(everyNth(x, axis, 1, count, 1), axis);
  const after = tf.reverse(everyNth(x, axis, size - 1 - count, count, 1), axis);
  return tf.concat([before, x, after], axis);
}

/** Multiplies a constant matrix `[out, in]` along an axis of size `in`. */
export function contractAxis(x: tf.Tensor, axis: number, matrix: tf.Tensor2D): tf.Tensor {
  return alongAxis(x, axis, (value) => {
    const [before, size, after] = value.shape as [number, number, number];
    const columns = tf.reshape(tf.transpose(value, [1, 0, 2]), [size, before * after]);
    const mixed = tf.matMul(matrix, columns as tf.Tensor2D);
    return tf.transpose(tf.reshape(mixed, [matrix.shape[0], before, after]), [1, 0, 2]);
  });
}

export function product(sizes: readonly number[]): number {
  return sizes.reduce((total, size) => total * size, 1);
}

export function isChannelsFirst(config: JsonObject): boolean {
  return config["data_format"] === "channels_first";
}

/**
 * Applies `compute` to a channels-last tensor. Channels-first tensors, according to the config's data_format, are
 * transposed before and after.
 */
export function channelsLast(
  x: tf.Tensor,
  config: JsonObject,
  compute: (value: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  if (!isChannelsFirst(config)) return compute(x);
  return toChannelsFirst(compute(toChannelsLast(x)));
}

/** Transposes `[N, C, ...]` to `[N, ..., C]`. */
export function toChannelsLast(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [0, ...axes.slice(2), 1]);
}

/** Transposes `[N, ..., C]` to `[N, C, ...]`. */
export function toChannelsFirst(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [0, x.rank - 1, ...axes.slice(1, -1)]);
}
