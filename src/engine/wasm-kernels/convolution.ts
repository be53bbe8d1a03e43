/** Gradient kernels of convolutions on the WebAssembly backend, made of its forward kernels, which are the fast ones. */
import { tf } from "../tf.ts";
import type { Axis, ConvAttributes } from "./conv-geometry.ts";
import { convAxes, frame } from "./conv-geometry.ts";
import { inputGradient } from "./input-gradient.ts";

type Shape4D = [number, number, number, number];

/** `dy` `[N, H', W', F]` and a filter `[h, w, C, F]` give the gradient of the input, `[N, H, W, C]`. */
export function conv2dInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: readonly number[],
  attributes: ConvAttributes,
): tf.Tensor4D {
  const axes = convAxes(inputShape, filter.shape, attributes, false);
  return inputGradient(dy, filter, axes, filter.shape[2], (framed, rotated, dilations) =>
    tf.conv2d(framed, tf.transpose(rotated, [0, 1, 3, 2]), 1, "valid", "NHWC", dilations),
  );
}

/** The gradient of the filter `[h, w, C, F]`: a convolution in which the images are the channels and the stride is the dilation. */
export function conv2dFilterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: readonly number[],
  attributes: ConvAttributes,
): tf.Tensor4D {
  const [rows, columns] = convAxes(x.shape, filterShape, attributes, false);
  const framed = frame(x, [-rows.before, -columns.before], [extentOf(rows), extentOf(columns)]);
  if (rows.taps === 1 && columns.taps === 1)
    return pointwiseFilterGradient(framed, dy, rows.stride, columns.stride);
  const images = tf.transpose(framed, [3, 1, 2, 0]);
  const gradients = tf.transpose(dy, [1, 2, 0, 3]);
  const sums = tf.conv2d(images, gradients, [rows.dilation, columns.dilation], "valid", "NHWC", [
    rows.stride,
    columns.stride,
  ]);
  return tf.transpose(sums, [1, 2, 0, 3]);
}

/** The gradient of a depthwise filter's input `[N, H, W, C]`. The filter is `[h, w, C, M]`, `dy` `[N, H', W', C * M]`. */
export function depthwiseInputGradient(
  dy: tf.Tensor4D,
  filter: tf.Tensor4D,
  inputShape: readonly number[],
  attributes: ConvAttributes,
): tf.Tensor4D {
  const axes = convAxes(inputShape, filter.shape, attributes, true);
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

/** The gradient of a depthwise filter `[h, w, C, M]`, tap by tap. */
export function depthwiseFilterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: readonly number[],
  attributes: ConvAttributes,
): tf.Tensor4D {
  const [rows, columns] = convAxes(x.shape, filterShape, attributes, true);
  const [taps, across, channels, multiplier] = filterShape as Shape4D;
  const positions = dy.size / (channels * multiplier);
  const framed = frame(x, [-rows.before, -columns.before], [extentOf(rows), extentOf(columns)]);
  const ones = tf.ones([1, positions]) as tf.Tensor2D;
  const slices = splitMultiplier(dy, channels, multiplier);
  const sums: tf.Tensor[] = [];
  for (let row = 0; row < taps; row++) {
    for (let column = 0; column < across; column++) {
      const seen = every(framed, [row * rows.dilation, column * columns.dilation], rows, columns);
      for (const part of slices) {
        const sum = tf.tidy(() => tf.matMul(ones, tf.reshape(tf.mul(seen, part), [positions, channels])));
        sums.push(sum);
      }
      seen.dispose();
    }
  }
  const stacked = tf.reshape(tf.concat(sums as tf.Tensor2D[], 0), [taps, across, multiplier, channels]);
  return tf.transpose(stacked, [0, 1, 3, 2]) as tf.Tensor4D;
}

/** How many positions of the padded input the filter ever reads. */
function extentOf({ output, stride, taps, dilation }: Axis): number {
  return (output - 1) * stride + (taps - 1) * dilation + 1;
}

function pointwiseFilterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  rowStride: number,
  columnStride: number,
): tf.Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const read =
    rowStride === 1 && columnStride === 1
      ? x
      : tf.stridedSlice(x, [0, 0, 0, 0], [batch, height, width, channels], [1, rowStride, columnStride, 1]);
  const filters = dy.shape[3];
  const columns = tf.transpose(tf.reshape(read, [-1, channels]), [1, 0]) as tf.Tensor2D;
  return tf.reshape(tf.matMul(columns, tf.reshape(dy, [-1, filters])), [1, 1, channels, filters]);
}

/** `[N, H, W, C * M]` as M tensors `[N, H, W, C]`. */
function splitMultiplier(dy: tf.Tensor4D, channels: number, multiplier: number): tf.Tensor4D[] {
  if (multiplier === 1) return [dy];
  const [batch, height, width] = dy.shape;
  const positions = batch * height * width;
  const grouped = tf.reshape(dy, [positions, channels, multiplier]);
  return Array.from({ length: multiplier }, (_, index) =>
    tf.reshape(tf.slice(grouped, [0, 0, index], [positions, channels, 1]), [batch, height, width, channels]),
  );
}

/** What one tap reads: every stride-th position from `start` on. */
function every(x: tf.Tensor4D, start: readonly [number, number], rows: Axis, columns: Axis): tf.Tensor4D {
  const [batch, , , channels] = x.shape;
  const spans = [(rows.output - 1) * rows.stride + 1, (columns.output - 1) * columns.stride + 1] as const;
  return tf.tidy(() => {
    const window = tf.slice(x, [0, start[0], start[1], 0], [batch, spans[0], spans[1], channels]);
    if (rows.stride === 1 && columns.stride === 1) return window;
    return tf.stridedSlice(window, [0, 0, 0, 0], window.shape, [
      1,
      rows.stride,
      columns.stride,
      1,
    ]) as tf.Tensor4D;
  });
}
