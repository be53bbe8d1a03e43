import type { JsonObject } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { numberList } from "../../topology/config-values.ts";

/** The darkest and the brightest value of a pixel. */
export type ValueRange = readonly [low: number, high: number];

/** That of eight bits, in which some layers compute. */
export const bytes: ValueRange = [0, 255];

export function valueRange(config: JsonObject): ValueRange {
  return numberList(config["value_range"]) as unknown as ValueRange;
}

/** Values of one range laid over another. */
export function inRange(x: tf.Tensor, from: ValueRange, to: ValueRange): tf.Tensor {
  if (from[0] === to[0] && from[1] === to[1]) return x;
  const shares = tf.div(tf.sub(x, from[0]), from[1] - from[0]);
  return tf.add(tf.mul(shares, to[1] - to[0]), to[0]);
}

export function clipped(x: tf.Tensor, config: JsonObject): tf.Tensor {
  return tf.clipByValue(x, ...valueRange(config));
}
