/** @file Gradient kernels of depthwise convolutions on the WebAssembly backend. */
import { tf } from "../tf.ts";
import type { ConvAttributes } from "./conv-geometry.ts";
import { convAxes } from "./conv-geometry.ts";
import { inputGradient } from "./input-gradient.ts";
import { imageWindow } from "./moving.ts";
import { composed } from "./replace-kernel.ts";

interface GradientAttributes extends ConvAttributes {
  readonly inputShape: readonly number[];
  readonly filterShape: readonly [number, number, number, number];
}

export function registerDepthwise(): void {
  composed("DepthwiseConv2dNativeBackpropInput", (inputs, attributes) =>
    depthwiseInputGradient(
      inputs["dy"] as tf.Tensor4D,
      inputs["filter"] as tf.Tensor4D,
      attributes as GradientAttributes,
    ),
  );
  composed("DepthwiseConv2dNativeBackpropFilter", (inputs, attributes) =>
    depthwiseFilterGradient(
      inputs["x"] as tf.Tensor4D,
      inputs["dy"] as tf.Tensor4D,
      attributes as GradientAttributes,
    ),
  );
}

/** Computes the gradient of the input `[N, H, W, C]` from `dy` `[N, H', W', C * M]` and a filter `[h, w, C, M]`. */
function depthwiseInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  attributes: GradientAttributes,
): tf.Tensor4D {
  const axes = convAxes(attributes.inputShape, filter.shape, attributes, true);
  const [taps, across, channels, multiplier] = filter.shape;
  const parts = splitMultiplier(dy, channels, multiplier).map((part, index) =>
    inputGradient(
      part,
      tf.slice(filter, [0, 0, 0, index], [taps, across, channels, 1]),
      axes,
      channels,
      (framed, rotated, dilations) => tf.depthwiseConv2d(framed, rotated, 1, "valid", "NHWC", dilations),
    ),
  );
  return parts.reduce((sum, part) => tf.add(sum, part));
}

/** Splits `[N, H, W, C * M]` into M tensors `[N, H, W, C]`. */
function splitMultiplier(dy: tf.Tensor4D, channels: number, multiplier: number): tf.Tensor4D[] {
  if (multiplier === 1) return [dy];
  const [batch, height, width] = dy.shape;
  const positions = batch * height * width;
  const grouped = tf.reshape(dy, [positions, channels, multiplier]);
  return Array.from({ length: multiplier }, (_, index) =>
    tf.reshape(tf.slice(grouped, [0, 0, index], [positions, channels, 1]), [batch, height, width, channels]),
  );
}

/**
 * Computes the gradient of the filter `[h, w, C, M]`, tap by tap: the sum over the values that a tap reads times the
 * gradients of its results.
 */
function depthwiseFilterGradient(x: tf.Tensor4D, dy: tf.Tensor4D, attributes: GradientAttributes): tf.Tensor {
  const [rows, columns] = convAxes(x.shape, attributes.filterShape, attributes, true);
  const [taps, across, channels, multiplier] = attributes.filterShape;
  const given = splitMultiplier(dy, channels, multiplier);
  const sums: tf.Tensor[] = [];
  for (let tap = 0; tap < taps; tap++) {
    for (let side = 0; side < across; side++) {
      const starts = [tap * rows.dilation - rows.before, side * columns.dilation - columns.before] as const;
      const read = imageWindow(x, starts, [rows.output, columns.output], [rows.stride, columns.stride]);
      for (const part of given) sums.push(tf.tidy(() => tf.sum(tf.mul(read, part), [0, 1, 2])));
      if (read !== x) read.dispose();
    }
  }
  return tf.transpose(tf.reshape(tf.stack(sums), [taps, across, multiplier, channels]), [0, 1, 3, 2]);
}
