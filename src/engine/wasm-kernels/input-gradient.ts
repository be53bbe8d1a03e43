/**
 * @file The gradient of a convolution with respect to its input, as convolutions of the output's gradient with the
 * rotated filter: one for a stride of 1, else one for each phase of the stride with the taps of that phase, so that no
 * zero is multiplied.
 */

import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { Axis } from "./conv-geometry.ts";
import { imageWindow, placedPhases } from "./moving.ts";

/** Convolves a padded gradient with a rotated filter, with stride 1 and without padding. */
export type Convolve = (dy: tf.Tensor4D, rotated: tf.Tensor4D, dilations: [number, number]) => tf.Tensor4D;

type Pair = readonly [number, number];

/** Computes the gradient `[N, H, W, channels]` from `dy` `[N, H', W', F]` and a filter `[h, w, ...]`. */
export function inputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  axes: readonly [Axis, Axis],
  channels: number,
  convolve: Convolve,
): tf.Tensor4D {
  const [rows, columns] = axes;
  const parts = phasesOf(rows).flatMap((row) =>
    phasesOf(columns).map((column) => ({
      phase: [row, column] as const,
      values: ofPhase(dy, filter, axes, [row, column], convolve),
    })),
  );
  const isWhole = rows.stride === 1 && columns.stride === 1;
  if (isWhole)
    return imageWindow(parts[0]!.values, [rows.before, columns.before], [rows.input, columns.input]);
  return placedPhases(
    parts,
    [dy.shape[0], rows.input, columns.input, channels],
    [rows.stride, columns.stride],
    [rows.before, columns.before],
  );
}

/** Returns the phases that have a tap. */
function phasesOf(axis: Axis): number[] {
  return Array.from({ length: Math.min(axis.stride, axis.taps) }, (_, phase) => phase);
}

/** Computes the gradient at the positions of the padded input that are `phases` modulo the strides. */
function ofPhase(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  axes: readonly [Axis, Axis],
  phases: Pair,
  convolve: Convolve,
): tf.Tensor4D {
  const chosen = tapsOfPhase(filter, axes, phases);
  const counts = axes.map((axis) => Math.ceil((axis.input + axis.before) / axis.stride));
  const reach = axes.map((axis, index) => (sizeAt(chosen.shape, index) - 1) * axis.dilation);
  const sizes = [counts[0]! + reach[0]!, counts[1]! + reach[1]!] as const;
  return convolve(imageWindow(dy, [-reach[0]!, -reach[1]!], sizes), tf.reverse(chosen, [0, 1]), [
    axes[0].dilation,
    axes[1].dilation,
  ]);
}

/** Returns every `stride`-th tap of `[h, w, C, F]`, which is treated as a single image. */
function tapsOfPhase(filter: tf.Tensor4D, [rows, columns]: readonly [Axis, Axis], phases: Pair): tf.Tensor4D {
  if (rows.stride === 1 && columns.stride === 1) return filter;
  const [height, width, channels, filters] = filter.shape;
  const image = tf.reshape(filter, [1, height, width, channels * filters]) as tf.Tensor4D;
  const sizes = [
    Math.ceil((height - phases[0]) / rows.stride),
    Math.ceil((width - phases[1]) / columns.stride),
  ] as const;
  const taps = imageWindow(image, phases, sizes, [rows.stride, columns.stride]);
  return tf.reshape(taps, [...sizes, channels, filters]);
}
