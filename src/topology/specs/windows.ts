import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { channelsFirst } from "../config-values.ts";

/** What slides over one spatial axis: a kernel, a pool, a stride. Lengths are in positions, null where unknown. */
export interface Window {
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
}

/** Positions a window visits (`keras/src/ops/operation_utils.py`, compute_conv_output_shape). */
export function visitedLength(length: number | null, window: Window, padding: string): number | null {
  if (length === null) return null;
  if (padding === "same" || padding === "causal") return Math.floor((length - 1) / window.stride) + 1;
  if (padding !== "valid") {
    throw new TopologyError(`padding: expected valid or same, got ${JSON.stringify(padding)}.`);
  }
  const span = window.dilation * (window.size - 1) + 1;
  const visited = Math.floor((length - span) / window.stride) + 1;
  if (visited > 0) return visited;
  throw new TopologyError(
    `input: expected at least ${span} positions for a window of ${window.size}, got ${length}. A larger image fits.`,
    "shape",
  );
}

/** The spatial axes of an input; the last is the channels' unless the config says `channels_first`. */
export function spatialShape(shape: Shape, config: JsonObject): Shape {
  return channelsFirst(config) ? shape.slice(2) : shape.slice(1, -1);
}

/** Batch, spatial axes and channels in the order of the config's data_format. */
export function imageShape(
  batch: number | null,
  spatial: Shape,
  channels: number | null,
  config: JsonObject,
): Shape {
  return channelsFirst(config) ? [batch, channels, ...spatial] : [batch, ...spatial, channels];
}

/** @throws {TopologyError} where the number of channels is not known: no weight could be made. */
export function channelCount(shape: Shape, config: JsonObject): number {
  return knownSize(shape, channelsFirst(config) ? 1 : shape.length - 1, "channels");
}

export function knownSize(shape: Shape, axis: number, what: string): number {
  const size = shape[axis];
  if (typeof size === "number") return size;
  throw new TopologyError(
    `input: expected a known number of ${what}, got ${formatShape(shape)}. Give the model an input shape.`,
    "shape",
  );
}

/** @throws {TopologyError} in Keras's words, unless the input has this rank, batch included. */
export function requireRank(shape: Shape, rank: number): void {
  if (shape.length === rank) return;
  throw new TopologyError(
    `input: expected ndim=${rank}, got ndim=${shape.length} with shape ${formatShape(shape)}.`,
    "shape",
  );
}

/** Values of one sample; 0 where a dimension is unknown. */
export function sampleSize(shape: Shape): number {
  return shape.slice(1).reduce<number>((product, size) => product * (size ?? 0), 1);
}
