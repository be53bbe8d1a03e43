/** @file Reads a tensor at positions between its values (`keras/src/backend/tensorflow/image.py`, map_coordinates). */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { numberAt, stringAt } from "../../topology/config-values.ts";
import { stopGradient } from "../activation-functions.ts";
import { product } from "../axes.ts";
import type { KernelCall } from "../kernel.ts";
import { unsupported } from "../kernel.ts";
import { asFloat } from "./number-functions.ts";
import { requiredOperand } from "./operands.ts";

/** A value next to a coordinate along an axis, and its weight. */
interface Neighbor {
  readonly places: readonly number[];
  readonly share: tf.Tensor | undefined;
}

/** Reads `inputs` of any shape at `coordinates`, `[rank, ...]`, to `[...]`. */
export function valuesAt(call: KernelCall): tf.Tensor {
  const inputs = requiredOperand(call, 0, "inputs");
  const coordinates = asFloat(requiredOperand(call, 1, "coordinates"));
  const order = numberAt(call.config, "order");
  if (order > 1) throw unsupported(`map_coordinates of order ${order}`, "Use order 0 or 1.");
  const { shape } = coordinates;
  const flat = tf.reshape(coordinates, [sizeAt(shape, 0), -1]);
  const along = tf.unstack(flat).map((axis) => (order === 0 ? nearest(axis) : around(axis)));
  const sum = combinations(along)
    .map((neighbors) => shareOf(inputs, neighbors, call))
    .reduce((a, b) => tf.add(a, b));
  const result = tf.reshape(sum, shape.slice(1));
  return inputs.dtype === "int32" ? tf.cast(tf.round(result), "int32") : result;
}

function nearest(coordinates: tf.Tensor): Neighbor[] {
  return [{ places: Array.from(tf.round(coordinates).dataSync()), share: undefined }];
}

function around(coordinates: tf.Tensor): Neighbor[] {
  const low = stopGradient(tf.floor(coordinates));
  const places = Array.from(low.dataSync());
  const upper = tf.sub(coordinates, low);
  return [
    { places, share: tf.sub(1, upper) },
    { places: places.map((place) => place + 1), share: upper },
  ];
}

function combinations(along: readonly (readonly Neighbor[])[]): Neighbor[][] {
  return along.reduce<Neighbor[][]>(
    (rows, choices) => rows.flatMap((row) => choices.map((choice) => [...row, choice])),
    [[]],
  );
}

/** Returns the weighted values of one combination of neighbors. */
function shareOf(inputs: tf.Tensor, neighbors: readonly Neighbor[], { config }: KernelCall): tf.Tensor {
  const mode = stringAt(config, "fill_mode");
  const count = neighbors[0]!.places.length;
  const positions = new Int32Array(count);
  const outside = new Float32Array(count);
  neighbors.forEach(({ places }, axis) => {
    const size = sizeAt(inputs.shape, axis);
    const stride = product(inputs.shape.slice(axis + 1));
    places.forEach((place, index) => {
      if (mode === "constant" && (place < 0 || place >= size)) outside[index] = 1;
      positions[index]! += placeWithin(place, size, mode) * stride;
    });
  });
  const read = tf.gather(asFloat(tf.reshape(inputs, [-1])), tf.tensor1d(positions, "int32"));
  const shown = tf.tensor1d(outside.map((flag) => 1 - flag));
  const filled = tf.tensor1d(outside.map((flag) => flag * numberAt(config, "fill_value")));
  const value = tf.add(tf.mul(read, shown), filled);
  return neighbors.reduce((sum, { share }) => (share ? tf.mul(sum, share) : sum), value);
}

/** Maps a place to one within an axis of `size`. As in Keras, mirrored places count from zero on both sides. */
export function placeWithin(place: number, size: number, mode: string): number {
  if (mode === "wrap") return ((place % size) + size) % size;
  if (mode !== "reflect" && mode !== "mirror") return Math.min(Math.max(place, 0), size - 1);
  const turned = Math.abs(place) % (2 * size);
  if (turned < size) return turned;
  return Math.min(2 * size - turned - (mode === "reflect" ? 1 : 0), size - 1);
}
