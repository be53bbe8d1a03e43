/**
 * @file The distinct values of a tensor and the places of nonzero ones (`keras/src/backend/tensorflow/numpy.py`,
 * unique, nonzero).
 */
import { tf } from "../../engine/tf.ts";
import { isTrueAt, numberAt } from "../../topology/config-values.ts";
import { axisOf, inverseOrder, product, rowsOf } from "../axes.ts";
import type { Kernel, KernelCall, KernelResult } from "../kernel.ts";
import { operandsOf } from "./operands.ts";

export const distinctKernels: Readonly<Record<string, Kernel>> = {
  "ops.Unique": distinct,
  "ops.Nonzero": nonzero,
};

/** Returns the places of nonzero values: one tensor for each axis. */
function nonzero(call: KernelCall): KernelResult {
  const x = operandsOf(call, 1)[0];
  const places = Array.from(x.dataSync()).flatMap((value, place) => (value === 0 ? [] : [place]));
  const outputs = x.shape.map((size, axis) => {
    const stride = product(x.shape.slice(axis + 1));
    return tf.tensor1d(
      places.map((place) => Math.floor(place / stride) % size),
      "int32",
    );
  });
  return { outputs };
}

interface Distinct {
  readonly row: readonly number[];
  /** Index of the first occurrence. */
  readonly first: number;
  count: number;
}

/** Returns the distinct values, or the distinct slices along an axis. */
function distinct(call: KernelCall): KernelResult {
  const x = operandsOf(call, 1)[0];
  const { config } = call;
  const flat = config["axis"] === null;
  const axis = flat ? 0 : axisOf(numberAt(config, "axis"), x.rank);
  const order = x.shape.map((_, at) => (at === 0 ? axis : at === axis ? 0 : at));
  const turned = flat ? tf.reshape(x, [-1]) : tf.transpose(x, order);
  const inner = turned.shape.slice(1);
  const { found, places } = rowsFound(rowsOf(turned, product(inner)), isTrueAt(config, "sorted"));
  const size = config["size"] === null ? found.length : numberAt(config, "size");
  const filled = <Value>(of: (item: Distinct) => Value, otherwise: Value): Value[] =>
    Array.from({ length: size }, (_, at) => (at < found.length ? of(found[at]!) : otherwise));
  const filling = new Array<number>(product(inner)).fill(Number(config["fill_value"] ?? 0));
  const values = tf.tensor(filled(({ row }) => row, filling).flat(), [size, ...inner], x.dtype as "float32");
  const whole = (numbers: readonly number[]): tf.Tensor => tf.tensor1d([...numbers], "int32");
  const outputs = [flat ? values : tf.transpose(values, inverseOrder(order))];
  // Keras fills up indices with ones.
  if (isTrueAt(config, "return_index")) outputs.push(whole(filled(({ first }) => first, 1)));
  if (isTrueAt(config, "return_inverse")) {
    outputs.push(flat ? tf.reshape(whole(places), x.shape) : whole(places));
  }
  if (isTrueAt(config, "return_counts")) outputs.push(whole(filled(({ count }) => count, 0)));
  return { outputs };
}

/** Returns the distinct rows and the index among them of each row. */
function rowsFound(rows: readonly number[][], sorted: boolean): { found: Distinct[]; places: number[] } {
  const byKey = new Map<string, Distinct>();
  const all = rows.map((row, first) => {
    const key = row.join();
    const known = byKey.get(key) ?? { row, first, count: 0 };
    known.count += 1;
    byKey.set(key, known);
    return known;
  });
  const found = [...byKey.values()];
  if (sorted) found.sort((a, b) => compared(a.row, b.row));
  return { found, places: all.map((item) => found.indexOf(item)) };
}

/** Compares by the first value that differs. */
function compared(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : a[at]! - b[at]!;
}
