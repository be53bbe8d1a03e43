import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { formatShape } from "../../tensor.ts";
import { channelsFirst } from "../config-values.ts";

/** A window along one spatial axis: of a kernel or a pool. Lengths are in positions. */
export interface Window {
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
}

/** Returns the window along one axis of sizes, strides and dilations, each of which has one value an axis. */
export function windowAt(
  axis: number,
  sizes: Shape,
  strides: readonly number[],
  dilations: readonly number[],
): Window {
  return { size: sizes[axis] ?? 1, stride: strides[axis] ?? 1, dilation: dilations[axis] ?? 1 };
}

/**
 * Returns the number of positions that a window visits (`compute_conv_output_shape` of
 * `keras/src/ops/operation_utils.py`), null if the length is unknown.
 */
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
    `input: expected at least ${span} positions for a window of ${window.size}, got ${length}. Use a larger image.`,
    "shape",
  );
}

/** Returns the spatial dimensions of an input by the config's `data_format`. */
export function spatialShape(shape: Shape, config: JsonObject): Shape {
  return channelsFirst(config) ? shape.slice(2) : shape.slice(1, -1);
}

/** Returns batch, spatial dimensions and channels in the order of the config's `data_format`. */
export function imageShape(
  batch: number | null,
  spatial: Shape,
  channels: number | null,
  config: JsonObject,
): Shape {
  return channelsFirst(config) ? [batch, channels, ...spatial] : [batch, ...spatial, channels];
}

/** Returns the number of channels. @throws {TopologyError} if it is unknown, so that no weight can be made. */
export function channelCount(shape: Shape, config: JsonObject): number {
  return knownSize(shape, channelsFirst(config) ? 1 : shape.length - 1, "channels");
}

/**
 * Returns the size of an axis. @param what Noun for the error message. @throws {TopologyError} if the size is unknown.
 */
export function knownSize(shape: Shape, axis: number, what: string): number {
  const size = shape[axis];
  if (typeof size === "number") return size;
  throw new TopologyError(
    `input: expected a known number of ${what}, got ${formatShape(shape)}. Give the model an input shape.`,
    "shape",
  );
}

/** Checks the rank of an input, batch included. @throws {TopologyError} in Keras's words. */
export function requireRank(shape: Shape, rank: number): void {
  if (shape.length === rank) return;
  throw new TopologyError(
    `input: expected ndim=${rank}, got ndim=${shape.length} with shape ${formatShape(shape)}.`,
    "shape",
  );
}

/** Returns the number of values of one sample, 0 if a dimension is unknown. */
export function sampleSize(shape: Shape): number {
  return shape.slice(1).reduce<number>((product, size) => product * (size ?? 0), 1);
}
