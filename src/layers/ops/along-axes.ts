/**
 * @file Functions of keras.ops that reduce, sort or accumulate along axes (`keras/src/ops/numpy.py`, `math.py`,
 * `linalg.py`).
 */
import type { JsonObject } from "../../checkpoint.ts";
import { max } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { roundHalfEven, sizeAt } from "../../tensor.ts";
import { isTrueAt, numberAt, numberList } from "../../topology/config-values.ts";
import { axesOf, axisOf, everyNth, inverseOrder } from "../axes.ts";
import type { Kernel, KernelCall, KernelResult } from "../kernel.ts";
import { unsupported } from "../kernel.ts";
import { pickedAlong } from "./arrays.ts";
import { norm } from "./norms.ts";
import { asBool } from "./number-functions.ts";
import { argumentOf, operandsOf } from "./operands.ts";

type Reduce = (x: tf.Tensor, axes: number[], keepDims: boolean, call: KernelCall) => tf.Tensor;

const reductions: Readonly<Record<string, Reduce>> = {
  Sum: (x, axes, keepDims) => tf.sum(x, axes, keepDims),
  Mean: (x, axes, keepDims) => tf.mean(x, axes, keepDims),
  Max: max,
  Amax: max,
  Min: min,
  Amin: min,
  Prod: (x, axes, keepDims) => tf.prod(x, axes, keepDims),
  Var: variance,
  Std: (x, axes, keepDims) => tf.sqrt(variance(x, axes, keepDims)),
  All: (x, axes, keepDims) => tf.all(asBool(x), axes, keepDims),
  Any: (x, axes, keepDims) => tf.any(asBool(x), axes, keepDims),
  Logsumexp: (x, axes, keepDims) => tf.logSumExp(x, axes, keepDims),
  CountNonzero: (x, axes, keepDims) => tf.sum(tf.cast(tf.notEqual(x, 0), "int32"), axes, keepDims),
  Ptp: (x, axes, keepDims) => tf.sub(max(x, axes, keepDims), min(x, axes, keepDims)),
  Median: (x, axes, keepDims) => quantile(x, axes, keepDims, 0.5),
  Quantile: (x, axes, keepDims, call) =>
    ofShares(call, 1, (share, method) => quantile(x, axes, keepDims, share, method)),
  Percentile: (x, axes, keepDims, call) =>
    ofShares(call, 100, (share, method) => quantile(x, axes, keepDims, share, method)),
  Average: average,
  Nansum: (x, axes, keepDims) => tf.sum(withoutNaN(x, 0), axes, keepDims),
  Nanmean: meanOfNumbers,
  Nanvar: varianceOfNumbers,
  Nanstd: (x, axes, keepDims) => tf.sqrt(varianceOfNumbers(x, axes, keepDims)),
  Nanmax: (x, axes, keepDims) => max(withoutNaN(x, Number.NEGATIVE_INFINITY), axes, keepDims),
  Nanmin: (x, axes, keepDims) => min(withoutNaN(x, Number.POSITIVE_INFINITY), axes, keepDims),
  Nanprod: (x, axes, keepDims) => tf.prod(withoutNaN(x, 1), axes, keepDims),
  Nanmedian: (x, axes, keepDims) => quantileOfNumbers(x, axes, keepDims, 0.5),
  Nanquantile: (x, axes, keepDims, call) =>
    ofShares(call, 1, (share, method) => quantileOfNumbers(x, axes, keepDims, share, method)),
  Nanpercentile: (x, axes, keepDims, call) =>
    ofShares(call, 100, (share, method) => quantileOfNumbers(x, axes, keepDims, share, method)),
  Argmax: (x, axes, keepDims) => placeOfLargest(x, axes, keepDims),
  Argmin: (x, axes, keepDims) => placeOfLargest(tf.neg(x), axes, keepDims),
  Nanargmax: (x, axes, keepDims) => placeOfNumber(x, axes, keepDims),
  Nanargmin: (x, axes, keepDims) => placeOfNumber(tf.neg(x), axes, keepDims),
  Norm: (x, axes, keepDims, { config }) => {
    const order = config["ord"] ?? null;
    const size = norm(x, axes, order);
    if (!size) throw unsupported(`a norm of order ${String(order)}`, "Use an order that Keras has.");
    return tf.reshape(size, reducedShape(x, axes, keepDims));
  },
  Trapezoid: (x, axes, keepDims, { config }) => {
    const [axis] = axes as [number];
    const size = sizeAt(x.shape, axis);
    const sides = tf.add(everyNth(x, axis, 1, size - 1, 1), everyNth(x, axis, 0, size - 1, 1));
    if (!Array.isArray(config["x"]))
      return tf.sum(tf.mul(sides, numberAt(config, "dx") / 2), [axis], keepDims);
    // The places are a vector along the last axis, or one for each value.
    const places = tf.tensor(config["x"] as number[]);
    const along = places.rank === 1 ? 0 : axis;
    const steps = tf.sub(everyNth(places, along, 1, size - 1, 1), everyNth(places, along, 0, size - 1, 1));
    return tf.sum(tf.mul(sides, tf.div(steps, 2)), [axis], keepDims);
  },
};

type Along = (x: tf.Tensor, axis: number, config: JsonObject) => tf.Tensor;

const alongAxis: Readonly<Record<string, Along>> = {
  Cumsum: (x, axis) => tf.cumsum(x, axis),
  Cumprod: runningProduct,
  Nancumsum: (x, axis) => tf.cumsum(withoutNaN(x, 0), axis),
  Nancumprod: (x, axis) => runningProduct(withoutNaN(x, 1), axis),
  Sort: (x, axis) =>
    onLastAxis(x, axis, (rows) => tf.neg(tf.topk(tf.neg(rows), sizeAt(rows.shape, -1)).values)),
  Argsort: (x, axis) => onLastAxis(x, axis, (rows) => tf.topk(tf.neg(rows), sizeAt(rows.shape, -1)).indices),
  Diff: (x, axis, config) => {
    let result = x;
    for (let time = 0; time < numberAt(config, "n"); time++) {
      const size = sizeAt(result.shape, axis);
      result = tf.sub(everyNth(result, axis, 1, size - 1, 1), everyNth(result, axis, 0, size - 1, 1));
    }
    return result;
  },
};

export const axisOpKernels: Readonly<Record<string, Kernel>> = Object.fromEntries([
  ...Object.entries(reductions).map(([name, reduce]): [string, Kernel] => [
    `ops.${name}`,
    (call) => {
      const x = operandsOf(call, 1)[0];
      return reduce(x, axesIn(call.config["axis"], x.rank), isTrueAt(call.config, "keepdims"), call);
    },
  ]),
  ...Object.entries(alongAxis).map(([name, compute]): [string, Kernel] => [
    `ops.${name}`,
    (call) => {
      const x = operandsOf(call, 1)[0];
      if (call.config["axis"] === null) return compute(tf.reshape(x, [-1]), 0, call.config);
      return compute(x, axisOf(numberAt(call.config, "axis"), x.rank), call.config);
    },
  ]),
  ["ops.Moments", moments],
  ["ops.TopK", topK],
]);

function axesIn(axis: JsonObject[string] | undefined, rank: number): number[] {
  return axis == null ? Array.from({ length: rank }, (_, index) => index) : axesOf(numberList(axis), rank);
}

function moments(call: KernelCall): KernelResult {
  const x = operandsOf(call, 1)[0];
  const axes = axesIn(call.config["axes"], x.rank);
  const keepDims = isTrueAt(call.config, "keepdims");
  return { outputs: [tf.mean(x, axes, keepDims), variance(x, axes, keepDims)] };
}

function topK(call: KernelCall): KernelResult {
  const { values, indices } = tf.topk(operandsOf(call, 1)[0], numberAt(call.config, "k"));
  return { outputs: [values, indices] };
}

/** Computes the minimum over `axes`. Equal values share the gradient. */
export function min(x: tf.Tensor, axes: readonly number[], keepDims: boolean): tf.Tensor {
  return tf.neg(max(tf.neg(x), axes, keepDims));
}

function variance(x: tf.Tensor, axes: number[], keepDims: boolean): tf.Tensor {
  return tf.mean(tf.square(tf.sub(x, tf.mean(x, axes, true))), axes, keepDims);
}

function withoutNaN(x: tf.Tensor, value: number): tf.Tensor {
  return tf.where(tf.isNaN(x), tf.fill(x.shape, value), x);
}

function meanOfNumbers(x: tf.Tensor, axes: number[], keepDims: boolean): tf.Tensor {
  const count = tf.sum(tf.cast(tf.logicalNot(tf.isNaN(x)), "float32"), axes, keepDims);
  return tf.div(tf.sum(withoutNaN(x, 0), axes, keepDims), count);
}

function varianceOfNumbers(x: tf.Tensor, axes: number[], keepDims: boolean): tf.Tensor {
  const apart = tf.sub(x, meanOfNumbers(x, axes, true));
  return meanOfNumbers(tf.square(apart), axes, keepDims);
}

function runningProduct(x: tf.Tensor, axis: number): tf.Tensor {
  const products: tf.Tensor[] = [];
  for (const slice of tf.unstack(x, axis)) {
    const before = products.at(-1);
    products.push(before ? tf.mul(before, slice) : slice);
  }
  return tf.stack(products, axis);
}

/** Computes one share of `whole`, or several, which are stacked along a first axis. */
function ofShares(
  call: KernelCall,
  whole: number,
  compute: (share: number, method: string) => tf.Tensor,
): tf.Tensor {
  const given = argumentOf(call, 1, "q");
  const method = String(call.config["method"] ?? "linear");
  if (typeof given === "number") return compute(given / whole, method);
  if (Array.isArray(given) && given.every((share) => typeof share === "number")) {
    return tf.stack(given.map((share) => compute(share / whole, method)));
  }
  throw unsupported("quantiles whose q is a tensor", "Use a number or a list of numbers as q.");
}

/** Applies `compute` with an axis moved to the end, and moves it back. */
function onLastAxis(x: tf.Tensor, axis: number, compute: (rows: tf.Tensor) => tf.Tensor): tf.Tensor {
  const order = [...x.shape.map((_, index) => index).filter((index) => index !== axis), axis];
  return tf.transpose(compute(tf.transpose(x, order)), inverseOrder(order));
}

/**
 * Computes the value below which a share of the others lies. A share between two values is interpolated by `method`.
 */
function quantile(
  x: tf.Tensor,
  axes: readonly number[],
  keepDims: boolean,
  share: number,
  method = "linear",
): tf.Tensor {
  const rows = axesLast(x, axes);
  const size = sizeAt(rows.shape, -1);
  const falling = tf.topk(rows, size).values;
  const at = (rank: number): tf.Tensor =>
    tf.squeeze(everyNth(falling, falling.rank - 1, size - 1 - rank, 1, 1), [falling.rank - 1]);
  const { low, above } = placeOf(share * (size - 1), method);
  const result = above === 0 ? at(low) : tf.add(tf.mul(at(low), 1 - above), tf.mul(at(low + 1), above));
  return tf.reshape(result, reducedShape(x, axes, keepDims));
}

/** Returns the index below a place, and the weight of the next value. */
function placeOf(place: number, method: string): { low: number; above: number } {
  const low = Math.floor(place);
  if (method === "lower" || low === place) return { low, above: 0 };
  if (method === "higher") return { low: low + 1, above: 0 };
  if (method === "nearest") return { low: roundHalfEven(place), above: 0 };
  return { low, above: method === "midpoint" ? 0.5 : place - low };
}

/** Computes the quantile of values that are not NaN; NaN if there are none. */
function quantileOfNumbers(
  x: tf.Tensor,
  axes: readonly number[],
  keepDims: boolean,
  share: number,
  method = "linear",
): tf.Tensor {
  const rows = axesLast(x, axes);
  const size = sizeAt(rows.shape, -1);
  const isNumber = tf.logicalNot(tf.isNaN(rows));
  const count = tf.sum(tf.cast(isNumber, "float32"), -1, true);
  const rising = tf.neg(tf.topk(tf.neg(withoutNaN(rows, 3.4e38)), size).values);
  const place = tf.maximum(tf.mul(tf.sub(count, 1), share), 0);
  const low = tf.floor(place);
  const high = tf.ceil(place);
  const at = (rank: tf.Tensor): tf.Tensor => pickedAlong(rising, tf.cast(rank, "int32"), rising.rank - 1);
  const above =
    method === "midpoint" ? 0.5 : method === "nearest" ? tf.sub(tf.round(place), low) : tf.sub(place, low);
  const value =
    method === "lower" || method === "higher"
      ? at(method === "lower" ? low : high)
      : tf.add(tf.mul(at(low), tf.sub(1, above)), tf.mul(at(high), above));
  const result = tf.where(tf.greater(count, 0), value, tf.fill(value.shape, Number.NaN));
  return tf.reshape(result, reducedShape(x, axes, keepDims));
}

/** Returns the position of the largest number along one axis, ignoring NaN; -1 if there is none. */
function placeOfNumber(x: tf.Tensor, axes: readonly number[], keepDims: boolean): tf.Tensor {
  const place = placeOfLargest(withoutNaN(x, Number.NEGATIVE_INFINITY), axes, keepDims);
  return tf.where(tf.all(tf.isNaN(x), [...axes], keepDims), tf.fill(place.shape, -1, "int32"), place);
}

/** Returns the position of the largest number along one axis, or among all values in order. */
function placeOfLargest(x: tf.Tensor, axes: readonly number[], keepDims: boolean): tf.Tensor {
  return tf.reshape(tf.argMax(axesLast(x, axes), -1), reducedShape(x, axes, keepDims));
}

function axesLast(x: tf.Tensor, axes: readonly number[]): tf.Tensor {
  const kept = x.shape.map((_, index) => index).filter((index) => !axes.includes(index));
  return tf.reshape(tf.transpose(x, [...kept, ...axes]), [...kept.map((axis) => sizeAt(x.shape, axis)), -1]);
}

function reducedShape(x: tf.Tensor, axes: readonly number[], keepDims: boolean): number[] {
  return x.shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size]));
}

function average(x: tf.Tensor, axes: number[], keepDims: boolean, call: KernelCall): tf.Tensor {
  const given = argumentOf(call, 1, "weights");
  if (given == null) return tf.mean(x, axes, keepDims);
  const plain = given instanceof tf.Tensor ? given : tf.tensor(given as tf.TensorLike);
  const shape = x.shape.map((size, axis) => (axes.includes(axis) ? size : 1));
  const weights = plain.rank === x.rank ? plain : tf.reshape(plain, shape);
  return tf.div(tf.sum(tf.mul(x, weights), axes, keepDims), tf.sum(weights, axes, keepDims));
}
