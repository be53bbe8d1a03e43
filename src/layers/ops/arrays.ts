/** @file Functions of keras.ops that cut, join and pick within samples (`keras/src/ops/numpy.py`, `core.py`). */
import type { JsonObject } from "../../checkpoint.ts";
import { chosen } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { numberAt, numberList } from "../../topology/config-values.ts";
import { partSizes } from "../../topology/specs/ops-arrays.ts";
import { rearrangement } from "../../topology/specs/rearrange.ts";
import { axesOf, axisOf, everyNth, inverseOrder } from "../axes.ts";
import type { Kernel, KernelCall, KernelResult } from "../kernel.ts";
import { asBool } from "./number-functions.ts";
import { argumentOf, numbersOf, operandOf, operandsOf, requiredOperand, tensorList } from "./operands.ts";

type Op = (x: tf.Tensor, config: JsonObject, call: KernelCall) => tf.Tensor | KernelResult;

const ops: Readonly<Record<string, Op>> = {
  Fliplr: (x) => tf.reverse(x, 1),
  ArraySplit: (x, config) => arrayParts(x, axisOf(numberAt(config, "axis"), x.rank), config),
  Hsplit: (x, config) => arrayParts(x, 1, config),
  Dsplit: (x, config) => arrayParts(x, 2, config),
  Unstack: (x, config) => ({ outputs: tf.unstack(x, axisOf(numberAt(config, "axis"), x.rank)) }),
  Rot90: quarterTurns,
  Tril: (x, config) => within(x, (row, column) => column - row <= numberAt(config, "k")),
  Triu: (x, config) => within(x, (row, column) => column - row >= numberAt(config, "k")),
  Diagonal: diagonal,
  Trace: (x, config) => tf.sum(diagonal(x, config), -1),
  TakeAlongAxis: (x, config, call) => {
    const indices = requiredOperand(call, 1, "indices");
    if (config["axis"] === null) return pickedAlong(tf.reshape(x, [-1]), indices, 0);
    return pickedAlong(x, indices, axisOf(numberAt(config, "axis"), x.rank));
  },
  Slice: block,
  ExtractSequences: (x, config) =>
    framed(x, numberAt(config, "sequence_length"), numberAt(config, "sequence_stride")),
};

export const arrayOpKernels: Readonly<Record<string, Kernel>> = Object.fromEntries([
  ...Object.entries(ops).map(([name, op]): [string, Kernel] => [
    `ops.${name}`,
    (call) => op(operandsOf(call, 1)[0], call.config, call),
  ]),
  ["ops.Hstack", (call) => tf.concat(tensorList(argumentOf(call, 0, "xs")), 1)],
  ["ops.Dstack", (call) => tf.concat(tensorList(argumentOf(call, 0, "xs")), 2)],
  ["ops.Append", appended],
  ["ops.Select", selected],
  ["ops.Rearrange", rearranged],
  ["ops.InTopK", amongLargest],
]);

function appended(call: KernelCall): tf.Tensor {
  const [first, second] = operandsOf(call, 2);
  if (call.config["axis"] === null) return tf.concat([tf.reshape(first, [-1]), tf.reshape(second, [-1])]);
  return tf.concat([first, second], axisOf(numberAt(call.config, "axis"), first.rank));
}

/** Selects the choice of the first condition that is true, else the default. */
function selected(call: KernelCall): tf.Tensor {
  const conditions = tensorList(argumentOf(call, 0, "condlist"));
  const choices = tensorList(argumentOf(call, 1, "choicelist"));
  const rest = operandOf(call, 2, "default") ?? tf.scalar(0);
  return conditions.reduceRight(
    (others, condition, index) => tf.where(asBool(condition), choices[index]!, others),
    tf.add(rest, tf.zerosLike(choices[0]!)),
  );
}

function rearranged(call: KernelCall): tf.Tensor {
  const x = operandsOf(call, 1)[0];
  const { split, order, joined } = rearrangement(
    String(argumentOf(call, 1, "pattern")),
    x.shape,
    call.kwargs,
  );
  return tf.reshape(tf.transpose(tf.reshape(x, [...split] as number[]), [...order]), [...joined] as number[]);
}

/** Returns true if fewer than `k` classes have a higher score than the sample's own. */
function amongLargest(call: KernelCall): tf.Tensor {
  const targets = tf.cast(requiredOperand(call, 0, "targets"), "int32");
  const scores = requiredOperand(call, 1, "predictions");
  const own = pickedAlong(scores, tf.expandDims(targets, -1), scores.rank - 1);
  const larger = tf.sum(tf.cast(tf.greater(scores, own), "int32"), -1);
  return tf.less(larger, tf.scalar(numberAt(call.config, "k"), "int32"));
}

/** Cuts the last axis into overlapping frames: `[..., frames, length]`. */
export function framed(x: tf.Tensor, length: number, step: number): tf.Tensor {
  const count = 1 + Math.floor((sizeAt(x.shape, -1) - length) / step);
  const frames = Array.from({ length: count }, (_, frame) =>
    everyNth(x, x.rank - 1, frame * step, length, 1),
  );
  return tf.stack(frames, x.rank - 1);
}

/** Cuts an axis as given by `indices_or_sections`. */
export function arrayParts(x: tf.Tensor, axis: number, config: JsonObject): KernelResult {
  let start = 0;
  const outputs = (partSizes(config["indices_or_sections"], sizeAt(x.shape, axis)) as number[]).map(
    (size) => {
      const part = everyNth(x, axis, start, size, 1);
      start += size;
      return part;
    },
  );
  return { outputs };
}

/** Rotates by quarter turns from the first of two axes to the second. */
function quarterTurns(x: tf.Tensor, config: JsonObject): tf.Tensor {
  const [from, to] = axesOf(numberList(config["axes"]), x.rank) as [number, number];
  const turns = ((numberAt(config, "k") % 4) + 4) % 4;
  if (turns === 0) return x;
  if (turns === 2) return tf.reverse(x, [from, to]);
  const order = x.shape.map((_, axis) => (axis === from ? to : axis === to ? from : axis));
  return turns === 1 ? tf.transpose(tf.reverse(x, to), order) : tf.reverse(tf.transpose(x, order), to);
}

/** Replaces values of the matrices in the last two axes by zero, except where `keeps` returns true. */
export function within(x: tf.Tensor, keeps: (row: number, column: number) => boolean): tf.Tensor {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const kept = Array.from({ length: rows * columns }, (_, place) =>
    keeps(Math.floor(place / columns), place % columns),
  );
  return chosen(tf.tensor(kept, [rows, columns], "bool"), x, tf.zerosLike(x));
}

function diagonal(x: tf.Tensor, config: JsonObject): tf.Tensor {
  return diagonalOf(
    x,
    axisOf(numberAt(config, "axis1"), x.rank),
    axisOf(numberAt(config, "axis2"), x.rank),
    numberAt(config, "offset"),
  );
}

/**
 * Returns the diagonal, `offset` above the main one, of the matrices in two axes. It is the last axis of the result.
 */
export function diagonalOf(x: tf.Tensor, row: number, column: number, offset: number): tf.Tensor {
  const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== row && axis !== column);
  const [rows, columns] = [sizeAt(x.shape, row), sizeAt(x.shape, column)];
  const flat = tf.reshape(tf.transpose(x, [...others, row, column]), [
    ...others.map((axis) => sizeAt(x.shape, axis)),
    rows * columns,
  ]);
  const start = offset >= 0 ? offset : -offset * columns;
  const length = Math.max(0, Math.min(rows + Math.min(0, offset), columns - Math.max(0, offset)));
  return everyNth(flat, flat.rank - 1, start, length, columns + 1);
}

/**
 * Picks values from each row by the row's indices, like `numpy.take_along_axis`. Negative indices count from the end.
 */
export function pickedAlong(x: tf.Tensor, indices: tf.Tensor, axis: number): tf.Tensor {
  const order = [...x.shape.map((_, index) => index).filter((index) => index !== axis), axis];
  const rows = tf.transpose(x, order);
  const size = sizeAt(x.shape, axis);
  const lead = rows.shape.slice(0, -1);
  const count = sizeAt(indices.shape, axis);
  const picks = tf.broadcastTo(tf.transpose(tf.cast(indices, "int32"), order), [...lead, count] as [number]);
  const positive = tf.where(tf.less(picks, 0), tf.add(picks, tf.scalar(size, "int32")), picks);
  const starts = tf.reshape(tf.range(0, rows.size, size, "int32"), [...lead, 1]);
  const found = tf.gather(tf.reshape(rows, [-1]), tf.reshape(tf.add(positive, starts), [-1]) as tf.Tensor1D);
  return tf.transpose(tf.reshape(found, [...lead, count]), inverseOrder(order));
}

/** Cuts a block from given starts. Its sizes are those of the config, but a batch that ends earlier is cut there. */
function block(x: tf.Tensor, config: JsonObject, call: KernelCall): tf.Tensor {
  const starts = numbersOf(argumentOf(call, 1, "start_indices"));
  return numberList(config["shape"]).reduce((value, size, axis) => {
    const start = starts[axis]!;
    const count = axis === 0 ? Math.min(size, sizeAt(x.shape, 0) - start) : size;
    return everyNth(value, axis, start, count, 1);
  }, x);
}
