/** @file Functions of keras.ops that look up, count or space out numbers (`keras/src/ops/numpy.py`). */
import type { JsonObject } from "../../checkpoint.ts";
import { max } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { isTrueAt, numberAt, numberList } from "../../topology/config-values.ts";
import { stopGradient } from "../activation-functions.ts";
import { axisOf, padAxis } from "../axes.ts";
import type { Kernel, KernelCall, KernelResult } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import { min } from "./along-axes.ts";
import { asFloat } from "./number-functions.ts";
import { operandsOf, requiredOperand } from "./operands.ts";
import { partitioned } from "./partition-order.ts";

export const countingKernels: Readonly<Record<string, Kernel>> = {
  "ops.SearchSorted": (call) => {
    const [sorted, values] = operandsOf(call, 2);
    const steps = Array.from(sorted.dataSync());
    const right = call.config["side"] === "right";
    const places = Int32Array.from(values.dataSync(), (value) => placeAmong(steps, value, right));
    return tf.tensor(places, values.shape, "int32");
  },
  "ops.IsIn": (call) => {
    const [x, known] = operandsOf(call, 2);
    const found = tf.any(tf.equal(tf.reshape(x, [-1, 1]), tf.reshape(known, [1, -1])), 1);
    return tf.reshape(isTrueAt(call.config, "invert") ? tf.logicalNot(found) : found, x.shape);
  },
  "ops.Bincount": (call) => {
    const x = operandsOf(call, 1)[0];
    const largest = Math.max(-1, ...Array.from(x.dataSync()));
    const count = Math.max(largest + 1, numberAt(call.config, "minlength"));
    const classes = tf.range(0, count, 1, "int32");
    const hits = tf.equal(tf.expandDims(tf.cast(x, "int32"), -1), classes);
    return tf.sum(tf.cast(hits, "int32"), x.rank - 1);
  },
  "ops.Histogram": histogram,
  "ops.UnravelIndex": unraveled,
  "ops.Correlate": correlated,
  "ops.Linspace": spaced,
  "ops.Logspace": (call) => tf.exp(tf.mul(spaced(call), Math.log(numberAt(call.config, "base")))),
  "ops.Geomspace": (call) => {
    const [start, stop] = endsOf(call);
    const logarithm = (x: tf.Tensor): tf.Tensor => tf.log(tf.abs(x));
    const { config } = call;
    const axis = axisIn(config, start, stop);
    const size = tf.exp(
      between(logarithm(start), logarithm(stop), numberAt(config, "num"), isTrueAt(config, "endpoint"), axis),
    );
    return tf.mul(size, tf.expandDims(stopGradient(tf.sign(start)), Math.min(axis, start.rank)));
  },
  "ops.Argpartition": partitioned,
  "ops.Full": (call) =>
    tf.broadcastTo(operandsOf(call, 1)[0], [...numberList(call.config["shape"])] as [number]),
};

/** Counts the sorted steps before a value, including equal ones if `right`. */
function placeAmong(steps: readonly number[], value: number, right: boolean): number {
  const place = steps.findIndex((step) => (right ? step > value : step >= value));
  return place === -1 ? steps.length : place;
}

/** Counts values in bins between the minimum and the maximum. Returns the edges of the bins as well. */
function histogram(call: KernelCall): KernelResult {
  const x = operandsOf(call, 1)[0];
  const bins = numberAt(call.config, "bins");
  const edges = between(min(x, [0], false), max(x, [0], false), bins + 1, true, 0);
  const inner = Array.from(edges.dataSync()).slice(1, -1);
  const counts = new Float32Array(bins);
  for (const value of x.dataSync()) counts[placeAmong(inner, value, true)]!++;
  return { outputs: [tf.tensor1d(counts), edges] };
}

/**
 * Returns a coordinate for each axis. For indices of rank above 1, Keras takes the axes from the front and returns them
 * in reverse.
 */
function unraveled({ inputs, config }: KernelCall): KernelResult {
  const shape = numberList(config["shape"]);
  const indices = firstInput(inputs);
  let rest = Array.from(indices.dataSync());
  const coordinates = (indices.rank === 1 ? [...shape].reverse() : shape).map((size) => {
    const values = rest.map((value) => ((value % size) + size) % size);
    rest = rest.map((value) => Math.floor(value / size));
    return tf.tensor(values, indices.shape, "int32");
  });
  return { outputs: coordinates.reverse() };
}

/** Computes the sum of products of two vectors at every offset. */
function correlated(call: KernelCall): tf.Tensor {
  const [signal, pattern] = operandsOf(call, 2).map(asFloat) as [tf.Tensor, tf.Tensor];
  const [size, length] = [signal.size, pattern.size];
  const mode = call.config["mode"];
  const padded = mode === "valid" ? signal : padAxis(signal, 0, length - 1, length - 1);
  const count = padded.size - length + 1;
  const places = Array.from(
    { length: count * length },
    (_, index) => Math.floor(index / length) + (index % length),
  );
  const windows = tf.reshape(tf.gather(padded, tf.tensor1d(places, "int32")), [count, length]);
  const whole = tf.reshape(tf.matMul(windows as tf.Tensor2D, tf.reshape(pattern, [length, 1])), [count]);
  if (mode !== "same") return whole;
  const kept = Math.max(size, length);
  return tf.slice(whole, [Math.floor((count - kept) / 2)], [kept]);
}

function endsOf(call: KernelCall): [start: tf.Tensor, stop: tf.Tensor] {
  return [asFloat(requiredOperand(call, 0, "start")), asFloat(requiredOperand(call, 1, "stop"))];
}

function spaced(call: KernelCall): tf.Tensor {
  const [start, stop] = endsOf(call);
  const { config } = call;
  return between(
    start,
    stop,
    numberAt(config, "num"),
    isTrueAt(config, "endpoint"),
    axisIn(config, start, stop),
  );
}

function axisIn(config: JsonObject, start: tf.Tensor, stop: tf.Tensor): number {
  return axisOf(numberAt(config, "axis"), Math.max(start.rank, stop.rank) + 1);
}

/** Returns `count` equally spaced numbers along a new axis. */
function between(
  start: tf.Tensor,
  stop: tf.Tensor,
  count: number,
  endpoint: boolean,
  axis: number,
): tf.Tensor {
  const way = tf.sub(stop, start);
  const from = tf.add(start, tf.zerosLike(way));
  const steps = Math.max(1, endpoint ? count - 1 : count);
  return tf.stack(
    Array.from({ length: count }, (_, index) => tf.add(from, tf.mul(way, index / steps))),
    axis,
  );
}
