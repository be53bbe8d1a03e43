import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";

export function isChannelsFirst(config: JsonObject): boolean {
  return config["data_format"] === "channels_first";
}

/** `compute` on a channels-last tensor, whatever the config's data_format: a channels-first one is turned, and turned back. */
export function channelsLast(
  x: tf.Tensor,
  config: JsonObject,
  compute: (value: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  if (!isChannelsFirst(config)) return compute(x);
  return toChannelsFirst(compute(toChannelsLast(x)));
}

/** `[N, C, ...]` as `[N, ..., C]`. */
export function toChannelsLast(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [0, ...axes.slice(2), 1]);
}

/** `[N, ..., C]` as `[N, C, ...]`. */
export function toChannelsFirst(x: tf.Tensor): tf.Tensor {
  const axes = x.shape.map((_, axis) => axis);
  return tf.transpose(x, [0, x.rank - 1, ...axes.slice(1, -1)]);
}
