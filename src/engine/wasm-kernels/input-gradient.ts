/**
 * The gradient of a convolution with respect to its input, as convolutions of the output's gradient with the rotated filter: one
 * where the stride is 1, else one for each phase of the stride with the taps of that phase, so that no zero is multiplied.
 */
import { tf } from "../tf.ts";
import type { Axis } from "./conv-geometry.ts";
import { frame } from "./conv-geometry.ts";

/** Convolves a framed gradient with a rotated filter, stride 1, no padding. */
export type Convolve = (dy: tf.Tensor4D, rotated: tf.Tensor4D, dilations: [number, number]) => tf.Tensor4D;

/** `dy` `[N, H', W', F]` and a filter `[h, w, ...]` give `[N, H, W, channels]`. */
export function inputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  axes: readonly [Axis, Axis],
  channels: number,
  convolve: Convolve,
): tf.Tensor4D {
  const [rows, columns] = axes;
  const counts = axes.map((axis) => Math.ceil((axis.input + axis.before) / axis.stride)) as [number, number];
  const lines = phasesOf(rows).map((row) => {
    const parts = phasesOf(columns).map((column) =>
      phase(dy, filter, axes, [row, column], counts, channels, convolve),
    );
    return interleave(parts, 2);
  });
  return frame(interleave(lines, 1), [rows.before, columns.before], [rows.input, columns.input]);
}

function phasesOf(axis: Axis): number[] {
  return Array.from({ length: axis.stride }, (_, phase) => phase);
}

/** The positions of the padded input that are `phases` modulo the strides. */
function phase(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  axes: readonly [Axis, Axis],
  phases: readonly [number, number],
  counts: [number, number],
  channels: number,
  convolve: Convolve,
): tf.Tensor4D {
  const taps = axes.map((axis, index) => Math.ceil((axis.taps - phases[index]!) / axis.stride)) as [
    number,
    number,
  ];
  if (taps.some((count) => count <= 0)) return tf.zeros([dy.shape[0], ...counts, channels]);
  const isWhole = axes.every((axis) => axis.stride === 1);
  const chosen = isWhole
    ? filter
    : tf.stridedSlice(filter, [phases[0], phases[1], 0, 0], filter.shape, [
        axes[0].stride,
        axes[1].stride,
        1,
        1,
      ]);
  const reach = axes.map((axis, index) => (taps[index]! - 1) * axis.dilation) as [number, number];
  const sizes = counts.map((count, index) => count + reach[index]!) as [number, number];
  return convolve(frame(dy, [-reach[0], -reach[1]], sizes), tf.reverse(chosen as tf.Tensor4D, [0, 1]), [
    axes[0].dilation,
    axes[1].dilation,
  ]);
}

/** Tensors of one shape, alternating along an axis. */
function interleave(parts: readonly tf.Tensor4D[], axis: 1 | 2): tf.Tensor4D {
  const first = parts[0]!;
  if (parts.length === 1) return first;
  const shape = first.shape.map((size, index) => (index === axis ? size * parts.length : size));
  return tf.reshape(tf.stack([...parts], axis + 1), shape as [number, number, number, number]);
}
