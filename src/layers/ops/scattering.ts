/**
 * @file Functions of keras.ops that write rows to given places or group them by place (`keras/src/ops/core.py`,
 * `math.py`).
 */
import { max } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { numberAt, numberList } from "../../topology/config-values.ts";
import { product } from "../axes.ts";
import type { Kernel, KernelCall } from "../kernel.ts";
import { unsupported } from "../kernel.ts";
import { min } from "./along-axes.ts";
import { argumentOf, numbersOf, requiredOperand } from "./operands.ts";

export const scatteringKernels: Readonly<Record<string, Kernel>> = {
  "ops.Scatter": scattered,
  "ops.ScatterUpdate": updated,
  "ops.SliceUpdate": blockUpdated,
  "ops.SegmentSum": bySegment((rows) => tf.sum(rows, 0), 0),
  "ops.SegmentProd": bySegment((rows) => tf.prod(rows, 0), 1),
  "ops.SegmentMax": bySegment((rows) => max(rows, [0], false), -3.4028234663852886e38),
  "ops.SegmentMin": bySegment((rows) => min(rows, [0], false), 3.4028234663852886e38),
};

/** Returns the places that index vectors name among the rows of the leading axes. */
function placesOf(indices: tf.Tensor, shape: readonly number[]): { places: number[]; rest: number[] } {
  const depth = sizeAt(indices.shape, -1);
  const values = Array.from(indices.dataSync());
  const places = Array.from({ length: values.length / depth }, (_, index) =>
    shape.slice(0, depth).reduce((place, size, axis) => place * size + values[index * depth + axis]!, 0),
  );
  return { places, rest: shape.slice(depth) };
}

/** Writes values to their places among zeros. Values at the same place add up. */
function scattered(call: KernelCall): tf.Tensor {
  const shape = numberList(call.config["shape"]);
  const { places, rest } = placesOf(requiredOperand(call, 0, "indices"), shape);
  const values = requiredOperand(call, 1, "values");
  const count = product(shape) / product(rest);
  return tf.reshape(summedAt(values, places, count, product(rest)), [...shape]);
}

/** Sums rows by place: `[count, width]`. */
function summedAt(values: tf.Tensor, places: readonly number[], count: number, width: number): tf.Tensor {
  const ids = tf.tensor1d([...places], "int32");
  return tf.unsortedSegmentSum(tf.reshape(values, [places.length, width]), ids, count);
}

type Reduction = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

/** The function by which each reduction combines a value and an update, and the update that changes nothing. */
const reductions: Readonly<Record<string, readonly [Reduction, number]>> = {
  max: [tf.maximum, Number.NEGATIVE_INFINITY],
  min: [tf.minimum, Number.POSITIVE_INFINITY],
  mul: [tf.mul, 1],
};

function updated(call: KernelCall): tf.Tensor {
  const inputs = requiredOperand(call, 0, "inputs");
  const { places, rest } = placesOf(requiredOperand(call, 1, "indices"), inputs.shape);
  const width = product(rest);
  const rows = tf.reshape(inputs, [-1, width]);
  const updates = tf.reshape(requiredOperand(call, 2, "updates"), [places.length, width]);
  const reduction = call.config["reduction"] ?? null;
  if (reduction === "add") {
    return tf.reshape(tf.add(rows, summedAt(updates, places, sizeAt(rows.shape, 0), width)), inputs.shape);
  }
  if (reduction === null) {
    const sources = sizeAt(rows.shape, 0);
    const from = Array.from({ length: sources }, (_, place) => place);
    places.forEach((place, index) => {
      from[place] = sources + index;
    });
    return tf.reshape(picked([rows, updates], from), inputs.shape);
  }
  const known = reductions[String(reduction)];
  if (!known) throw unsupported(`the reduction "${String(reduction)}"`, "Use add, max, min or mul.");
  const [reduce, neutral] = known;
  const blank = tf.fill([1, width], neutral);
  const result = rounds(places, sizeAt(rows.shape, 0)).reduce(
    (value, from) => reduce(value, picked([blank, updates], from)),
    rows as tf.Tensor,
  );
  return tf.reshape(result, inputs.shape);
}

/**
 * Distributes updates over rounds: each lists, for every place, the update (from 1 on) that reaches it, or 0. There are
 * as many rounds as one place has updates.
 */
function rounds(places: readonly number[], count: number): number[][] {
  const result: number[][] = [];
  places.forEach((place, index) => {
    let round = result.find((from) => from[place] === 0);
    if (!round) {
      round = new Array<number>(count).fill(0);
      result.push(round);
    }
    round[place] = index + 1;
  });
  return result;
}

function picked(rows: tf.Tensor[], from: readonly number[]): tf.Tensor {
  return tf.gather(tf.concat(rows, 0), tf.tensor1d([...from], "int32"));
}

/** Overwrites a block of the inputs, shifted so that it lies within them. */
function blockUpdated(call: KernelCall): tf.Tensor {
  const inputs = requiredOperand(call, 0, "inputs");
  const updates = requiredOperand(call, 2, "updates");
  const starts = numbersOf(argumentOf(call, 1, "start_indices"));
  const margins = inputs.shape.map((size, axis): [number, number] => {
    const rest = size - sizeAt(updates.shape, axis);
    const start = Math.min(Math.max(0, starts[axis]!), rest);
    return [start, rest - start];
  });
  const covered = tf.pad(tf.onesLike(updates), margins);
  return tf.where(tf.cast(covered, "bool"), tf.pad(updates, margins), inputs);
}

/** Creates a kernel that reduces the rows of each segment. `empty` fills segments without rows. */
function bySegment(reduce: (rows: tf.Tensor) => tf.Tensor, empty: number): Kernel {
  return (call) => {
    const data = requiredOperand(call, 0, "data");
    const ids = Array.from(requiredOperand(call, 1, "segment_ids").dataSync());
    const given = call.config["num_segments"];
    const count = given == null ? Math.max(...ids) + 1 : numberAt(call.config, "num_segments");
    const segments = Array.from({ length: count }, (_, segment) => {
      const members = ids.flatMap((id, row) => (id === segment ? [row] : []));
      if (members.length === 0) return tf.fill(data.shape.slice(1), empty, data.dtype as "float32");
      return reduce(tf.gather(data, tf.tensor1d(members, "int32")));
    });
    return tf.stack(segments);
  };
}
