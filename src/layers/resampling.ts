/** @file Resizing of images as in TensorFlow's `tf.image.resize` (`keras/src/backend/tensorflow/image.py`, resize). */
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import { sizeAt } from "../tensor.ts";
import { contractAxis } from "./axes.ts";
import { interpolationRows, nearestRows } from "./numerics/interpolation.ts";

/**
 * Resizes `[N, H, W, C]` to `[N, height, width, C]`. Each axis is multiplied by a constant matrix, so that every
 * interpolation has a gradient on every backend.
 * @throws {TopologyError} for an interpolation that Keras does not have.
 */
export function resized(
  x: tf.Tensor,
  [height, width]: readonly [number, number],
  interpolation: string,
  antialias: boolean,
): tf.Tensor {
  const [, high, wide] = x.shape as [number, number, number];
  const tall = resizedAxis(x, 1, height, matrixRows(interpolation, antialias, high, height));
  return resizedAxis(tall, 2, width, matrixRows(interpolation, antialias, wide, width));
}

function resizedAxis(x: tf.Tensor, axis: number, size: number, rows: Float32Array): tf.Tensor {
  const matrix = tf.tensor2d(rows, [size, sizeAt(x.shape, axis)]);
  return contractAxis(x, axis, matrix);
}

/** Crops the center to the target's proportions (`crop_to_aspect_ratio`, `smart_resize`). */
export function croppedToAspectRatio(x: tf.Tensor, [height, width]: readonly [number, number]): tf.Tensor {
  const [batch, high, wide, channels] = x.shape as [number, number, number, number];
  const cropHeight = clamp(Math.trunc(Math.fround((wide * height) / width)), 1, high);
  const cropWidth = clamp(Math.trunc(Math.fround((high * width) / height)), 1, wide);
  const top = Math.trunc((high - cropHeight) / 2);
  const left = Math.trunc((wide - cropWidth) / 2);
  return tf.slice(x, [0, top, left, 0], [batch, cropHeight, cropWidth, channels]);
}

/** Adds borders of `value` to reach the target's proportions (`pad_to_aspect_ratio`). */
export function paddedToAspectRatio(
  x: tf.Tensor,
  [height, width]: readonly [number, number],
  value: number,
): tf.Tensor {
  const [, high, wide] = x.shape as [number, number, number];
  const padHeight = Math.max(high, Math.trunc(Math.fround((wide * height) / width)));
  const padWidth = Math.max(wide, Math.trunc(Math.fround((high * width) / height)));
  const top = Math.trunc((padHeight - high) / 2);
  const left = Math.trunc((padWidth - wide) / 2);
  return tf.pad(
    x,
    [
      [0, 0],
      [top, top],
      [left, left],
      [0, 0],
    ],
    value,
  );
}

function matrixRows(interpolation: string, antialias: boolean, from: number, to: number): Float32Array {
  if (interpolation === "nearest") return nearestRows(from, to);
  const rows = interpolationRows(interpolation, antialias, from, to);
  if (rows) return rows;
  throw new TopologyError(
    `interpolation "${interpolation}": expected one of nearest, bilinear, bicubic, area, lanczos3, lanczos5, gaussian, mitchellcubic, got another.`,
    "unsupported-interpolation",
  );
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
