/**
 * @file The places of the smallest numbers of an axis, followed by the others (`keras/src/backend/tensorflow/numpy.py`,
 * argpartition).
 */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { numberAt } from "../../topology/config-values.ts";
import { axisOf, inverseOrder, product, rowsOf } from "../axes.ts";
import type { KernelCall } from "../kernel.ts";
import { unsupported } from "../kernel.ts";
import { operandsOf } from "./operands.ts";

/**
 * Returns the places as Keras on TensorFlow does for whole numbers: the others are in the order of what is left after
 * the smallest are replaced by zeros. With several rows, row `j` has zeros where any row has its `j`-th smallest.
 */
export function partitioned(call: KernelCall): tf.Tensor {
  const x = operandsOf(call, 1)[0];
  const whole = tf.cast(x, "int32");
  if (call.config["axis"] === null) return rowsPartitioned(tf.reshape(whole, [-1]), call);
  const axis = axisOf(numberAt(call.config, "axis"), x.rank);
  const order = x.shape.map((_, at) => (at === axis ? x.rank - 1 : at === x.rank - 1 ? axis : at));
  return tf.transpose(rowsPartitioned(tf.transpose(whole, order), call), inverseOrder(order));
}

function rowsPartitioned(x: tf.Tensor, { config }: KernelCall): tf.Tensor {
  const size = sizeAt(x.shape, -1);
  const lead = x.shape.slice(0, -1);
  const count = Math.min(Math.max(numberAt(config, "kth"), 0), size - 1) + 1;
  const rows = rowsOf(x, size);
  const least = rows.map((row) => placesFrom(row.map((value) => -value)).slice(0, count));
  const left = rows.map((row) => [...row]);
  least.forEach((places, row) => {
    places.forEach((place, rank) => {
      const zeroed = left[zeroedRow(row, rank, lead)];
      if (!zeroed)
        throw unsupported(`argpartition with kth=${count - 1} of ${rows.length} rows`, "Use a smaller kth.");
      zeroed[place] = 0;
    });
  });
  const result = rows.map((_, row) => [...least[row]!, ...placesFrom(left[row]!).slice(0, size - count)]);
  return tf.tensor(result.flat(), x.shape, "int32");
}

/**
 * Returns the row whose coordinates are all but the first of the given row's, then the rank; infinity if there is none.
 */
function zeroedRow(row: number, rank: number, lead: readonly number[]): number {
  if (lead.length === 0) return 0;
  const inner = product(lead.slice(1));
  const coordinates = [...coordinatesOf(row % inner, lead.slice(1)), rank];
  const fits = coordinates.every((place, axis) => place < lead[axis]!);
  return fits
    ? coordinates.reduce((place, at, axis) => place * lead[axis]! + at, 0)
    : Number.POSITIVE_INFINITY;
}

function coordinatesOf(place: number, shape: readonly number[]): number[] {
  let rest = place;
  return [...shape]
    .reverse()
    .map((size) => {
      const at = rest % size;
      rest = Math.floor(rest / size);
      return at;
    })
    .reverse();
}

/** Returns the places of values in descending order, of equal values the first. */
function placesFrom(values: readonly number[]): number[] {
  return values.map((_, place) => place).sort((a, b) => values[b]! - values[a]! || a - b);
}
