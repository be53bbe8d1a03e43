/** @file Copies between places of the backend's memory: windows of images, phases of a stride, slices, repetitions. */

import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { Source, Stretch, WasmBackend } from "./replace-kernel.ts";
import { moving, wrap } from "./replace-kernel.ts";

type Pair = readonly [number, number];

interface WindowAttributes {
  /** The first row and column, negative if before the image. */
  readonly starts: Pair;
  readonly sizes: Pair;
  readonly strides: Pair;
}

interface PhaseAttributes {
  readonly shape: readonly [number, number, number, number];
  readonly strides: Pair;
  /** The number of rows and columns cut off before the first. */
  readonly before: Pair;
  /** The phase of each input. */
  readonly phases: readonly Pair[];
}

interface SliceAttributes {
  readonly begin: number | number[];
  readonly size: number | number[];
}

/**
 * Registers the kernels behind the functions of this file, faster `Slice`, `Reverse` and `Tile`, an `Identity` that copies
 * nothing, and a `Cast` to bool that takes every number but 0 for true.
 */
export function registerMoving(): void {
  wrap("Identity", (call, original) => {
    const { dataId, shape, dtype } = call.inputs["x"] as tf.TensorInfo;
    if (dtype === "string") return original(call);
    (call.backend as WasmBackend).incRef(dataId);
    return { dataId, shape, dtype };
  });
  wrap("Cast", (call, original) => {
    const x = call.inputs["x"] as tf.Tensor;
    const isTruth = (call.attrs as { readonly dtype?: unknown }).dtype === "bool";
    return isTruth && x.dtype !== "bool" ? tf.notEqual(x, tf.zerosLike(x)) : original(call);
  });
  moving<WindowAttributes>(
    "ImageWindow",
    ([x], { sizes }) => [sizeAt(x.shape, 0), ...sizes, sizeAt(x.shape, 3)],
    copyWindow,
  );
  moving<PhaseAttributes, number>("PlacePhases", (_, { shape }) => shape, placePhases);
  moving<SliceAttributes>("Slice", ([x], { size, begin }) => slicePart(x.shape, begin, size).sizes, slice);
  moving<{ dims: number | number[] }>("Reverse", ([x]) => x.shape, reverse);
  moving<{ reps: readonly number[] }>(
    "Tile",
    ([x], { reps }) => x.shape.map((size, axis) => size * (reps[axis] ?? 1)),
    repeat,
  );
}

/** Reads every `strides`-th row and column of `[N, H, W, C]` from `starts` on. Positions outside the image are zero. */
export function imageWindow(x: tf.Tensor4D, starts: Pair, sizes: Pair, strides: Pair = [1, 1]): tf.Tensor4D {
  const [, height, width] = x.shape;
  const isAll = starts.every((start) => start === 0) && strides.every((stride) => stride === 1);
  if (isAll && sizes[0] === height && sizes[1] === width) return x;
  return tf
    .engine()
    .runKernel("ImageWindow", { x }, { starts, sizes, strides } as unknown as tf.NamedAttrMap);
}

/**
 * Makes images of `shape` in which each of `parts` fills the positions of its phase, after `before` are cut off. Other
 * positions are zero.
 */
export function placedPhases(
  parts: readonly { readonly phase: Pair; readonly values: tf.Tensor4D }[],
  shape: PhaseAttributes["shape"],
  strides: Pair,
  before: Pair,
): tf.Tensor4D {
  const inputs = Object.fromEntries(parts.map(({ values }, index) => [`part${index}`, values]));
  const attributes = { shape, strides, before, phases: parts.map(({ phase }) => phase) };
  return tf.engine().runKernel("PlacePhases", inputs, attributes as unknown as tf.NamedAttrMap);
}

function copyWindow(
  memory: Float32Array,
  output: Stretch,
  [from]: readonly [Source],
  { starts, sizes, strides }: WindowAttributes,
): void {
  const [batch, height, width, channels] = from.shape as [number, number, number, number];
  const columns = visibleRange(starts[1], strides[1], sizes[1], width);
  for (let image = 0; image < batch; image++) {
    for (let row = 0; row < sizes[0]; row++) {
      const sourceRow = starts[0] + row * strides[0];
      if (sourceRow < 0 || sourceRow >= height) continue;
      const source = from.start + (image * height + sourceRow) * width * channels;
      const target = output.start + (image * sizes[0] + row) * sizes[1] * channels;
      copyColumns(memory, {
        source: source + (starts[1] + columns.first * strides[1]) * channels,
        sourceStep: strides[1] * channels,
        target: target + columns.first * channels,
        targetStep: channels,
        count: columns.end - columns.first,
        channels,
      });
    }
  }
}

function placePhases(
  memory: Float32Array,
  output: Stretch,
  parts: readonly Source[],
  { shape, strides, before, phases }: PhaseAttributes,
): void {
  const [batch, height, width, channels] = shape;
  parts.forEach((part, index) => {
    const phase = phases[index] ?? [0, 0];
    const [, rows, columns] = part.shape as [number, number, number, number];
    const visible = visibleRange(phase[1] - before[1], strides[1], columns, width);
    for (let image = 0; image < batch; image++) {
      for (let row = 0; row < rows; row++) {
        const targetRow = row * strides[0] + phase[0] - before[0];
        if (targetRow < 0 || targetRow >= height) continue;
        const firstColumn = visible.first * strides[1] + phase[1] - before[1];
        copyColumns(memory, {
          source: part.start + ((image * rows + row) * columns + visible.first) * channels,
          sourceStep: channels,
          target: output.start + ((image * height + targetRow) * width + firstColumn) * channels,
          targetStep: strides[1] * channels,
          count: visible.end - visible.first,
          channels,
        });
      }
    }
  });
}

/** Returns the range of those of `count` positions `start + index * stride` that lie in `[0, size)`. */
function visibleRange(
  start: number,
  stride: number,
  count: number,
  size: number,
): { first: number; end: number } {
  const first = Math.min(Math.max(Math.ceil(-start / stride), 0), count);
  return { first, end: Math.max(Math.min(Math.ceil((size - start) / stride), count), first) };
}

interface Columns {
  readonly source: number;
  readonly sourceStep: number;
  readonly target: number;
  readonly targetStep: number;
  readonly count: number;
  readonly channels: number;
}

function copyColumns(memory: Float32Array, columns: Columns): void {
  const { source, sourceStep, target, targetStep, count, channels } = columns;
  if (sourceStep === channels && targetStep === channels) {
    memory.copyWithin(target, source, source + count * channels);
    return;
  }
  for (let column = 0; column < count; column++) {
    const start = source + column * sourceStep;
    memory.copyWithin(target + column * targetStep, start, start + channels);
  }
}

/** Repeats a tensor axis by axis from the last, by copying the part that is complete behind itself. */
function repeat(
  memory: Float32Array,
  output: Stretch,
  [{ start, shape }]: readonly [Source],
  { reps }: { reps: readonly number[] },
): void {
  const place = (axis: number, source: number, target: number): number => {
    const below = shape.slice(axis + 1).reduce((size, extent) => size * extent, 1);
    let written = 0;
    if (axis >= shape.length - 1) {
      written = shape[axis] ?? 1;
      memory.copyWithin(target, source, source + written);
    } else {
      for (let index = 0; index < sizeAt(shape, axis); index++) {
        written += place(axis + 1, source + index * below, target + written);
      }
    }
    return doubled(memory, target, written, reps[axis] ?? 1);
  };
  place(0, start, output.start);
}

/** Repeats the stretch at `start` `count` times in increasingly long copies. Returns the total length. */
function doubled(memory: Float32Array, start: number, length: number, count: number): number {
  const whole = length * count;
  for (let done = length; done < whole; done += Math.min(done, whole - done)) {
    memory.copyWithin(start + done, start, start + Math.min(done, whole - done));
  }
  return whole;
}

function slicePart(
  shape: readonly number[],
  begin: number | number[],
  size: number | number[],
): { starts: number[]; sizes: number[] } {
  const [starts = [], sizes = []] = tf.slice_util.parseSliceParams({ shape } as tf.TensorInfo, begin, size);
  return { starts, sizes };
}

/** Copies a slice row by row, where a row is everything that is contiguous. */
function slice(
  memory: Float32Array,
  output: Stretch,
  [from]: readonly [Source],
  { begin, size }: SliceAttributes,
): void {
  const { shape } = from;
  const { starts, sizes } = slicePart(shape, begin, size);
  const strides = stridesOf(shape);
  let together = shape.length - 1;
  while (together > 0 && sizes[together] === shape[together]) together--;
  const row = sizes.slice(Math.max(together, 0)).reduce((all, extent) => all * extent, 1);
  let target = output.start;
  const copy = (axis: number, source: number): void => {
    if (axis >= together) {
      const start = source + (starts[axis] ?? 0) * (strides[axis] ?? 1);
      memory.copyWithin(target, start, start + row);
      target += row;
      return;
    }
    const [start, stride, count] = [sizeAt(starts, axis), sizeAt(strides, axis), sizeAt(sizes, axis)];
    for (let index = start; index < start + count; index++) copy(axis + 1, source + index * stride);
  };
  if (output.length > 0) copy(0, from.start);
}

/** Reverses axes. Values that are contiguous behind the last reversed axis are copied together. */
function reverse(
  memory: Float32Array,
  output: Stretch,
  [from]: readonly [Source],
  { dims }: { dims: number | number[] },
): void {
  const { shape } = from;
  const axes = tf.util.parseAxisParam(dims, [...shape]);
  const strides = stridesOf(shape);
  const last = Math.max(-1, ...axes);
  const row = strides[last] ?? output.length;
  let target = output.start;
  const copy = (axis: number, source: number): void => {
    if (axis > last) {
      memory.copyWithin(target, source, source + row);
      target += row;
      return;
    }
    const [size, stride] = [sizeAt(shape, axis), sizeAt(strides, axis)];
    for (let index = 0; index < size; index++) {
      const position = axes.includes(axis) ? size - 1 - index : index;
      copy(axis + 1, source + position * stride);
    }
  };
  if (output.length > 0) copy(0, from.start);
}

/** Returns the distance between neighbors along each axis. */
function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((all, size) => all * size, 1));
}
