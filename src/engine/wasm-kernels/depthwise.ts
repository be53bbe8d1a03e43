/** @file Gradient kernels of depthwise convolutions on the WebAssembly backend. */
import type { Tuple } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { Axis, ConvAttributes } from "./conv-geometry.ts";
import { convAxes } from "./conv-geometry.ts";
import { inputGradient } from "./input-gradient.ts";
import type { Shape } from "./replace-kernel.ts";
import { composed, onHeap } from "./replace-kernel.ts";
import type { SimdKernels } from "./simd.ts";

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
  onHeap("DepthwiseTapSums", {
    reads: ["x", "dy"],
    shapes: ["x", "dy"],
    shapeOf: (_shapes, { filterShape }: GradientAttributes) => filterShape.slice(0, 3),
    compute: tapSums,
  });
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
  const [taps, across, channels, multiplier] = attributes.filterShape;
  const sums = splitMultiplier(dy, channels, multiplier).map(
    (part) => tf.engine().runKernel("DepthwiseTapSums", { x, dy: part }, { ...attributes }) as tf.Tensor,
  );
  return tf.reshape(tf.stack(sums, 3), [taps, across, channels, multiplier]);
}

/** Adds up, for each tap and channel, the products of `x` `[N, H, W, C]` and `dy` `[N, H', W', C]`. */
function tapSums(
  [x, dy]: Tuple<Float32Array, 2>,
  sums: Float32Array,
  attributes: GradientAttributes,
  [shape, gradientShape]: Tuple<Shape, 2>,
  simd: SimdKernels,
): void {
  const [rows, columns] = convAxes(shape, attributes.filterShape, attributes, true);
  const [batch, , , channels] = gradientShape as Tuple<number, 4>;
  const floats = (values: Float32Array, index: number): number => values.byteOffset + 4 * index * channels;
  sums.fill(0);
  for (let tap = 0; tap < rows.taps * columns.taps; tap++) {
    const [down, across] = [Math.floor(tap / columns.taps), tap % columns.taps];
    const seen = visible(columns, across);
    for (let image = 0; image < batch; image++) {
      for (let row = 0; row < rows.output; row++) {
        const source = row * rows.stride + down * rows.dilation - rows.before;
        if (source < 0 || source >= rows.input || seen.count === 0) continue;
        simd.addProducts(
          floats(x, (image * rows.input + source) * columns.input + seen.source),
          floats(dy, (image * rows.output + row) * columns.output + seen.first),
          floats(sums, tap),
          seen.count,
          channels,
          columns.stride * channels,
          channels,
        );
      }
    }
  }
}

/** Returns the outputs along an axis for which a tap reads a position of the input, and the first position. */
function visible({ input, output, stride, dilation, before }: Axis, tap: number) {
  const start = tap * dilation - before;
  const first = Math.max(Math.ceil(-start / stride), 0);
  const end = Math.min(Math.ceil((input - start) / stride), output);
  return { first, count: Math.max(end - first, 0), source: start + first * stride };
}
