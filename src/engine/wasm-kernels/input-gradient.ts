/**
 * @file The gradient of a convolution with respect to its input, as convolutions of the output's gradient with the
 * rotated filter: one for a stride of 1, else one for each phase of the stride with the taps of that phase, so that no
 * zero is multiplied.
 */

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
  const partOf = (phase: Pair): tf.Tensor4D => ofPhase(dy, filter, axes, phase, convolve);
  if (rows.stride === 1 && columns.stride === 1)
    return imageWindow(partOf([0, 0]), [rows.before, columns.before], [rows.input, columns.input]);
  const parts = phasesOf(rows).flatMap((row) =>
    phasesOf(columns).map((column) => ({ phase: [row, column] as const, values: partOf([row, column]) })),
  );
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
  const [taps, across] = chosen.shape;
  const [rows, columns] = [framed(axes[0], taps), framed(axes[1], across)];
  const window = imageWindow(dy, [rows.start, columns.start], [rows.size, columns.size]);
  return convolve(window, tf.reverse(chosen, [0, 1]), [axes[0].dilation, axes[1].dilation]);
}

/** Returns the first position of `dy` that `taps` taps read along an axis, and the number of positions. */
function framed(axis: Axis, taps: number): { start: number; size: number } {
  const reach = (taps - 1) * axis.dilation;
  return { start: -reach, size: Math.ceil((axis.input + axis.before) / axis.stride) + reach };
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
