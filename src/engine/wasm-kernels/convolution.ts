/**
 * @file Gradient kernels of convolutions on the WebAssembly backend, composed of its forward kernels, which are the
 * fast ones.
 */
import { tf } from "../tf.ts";
import type { Axis, ConvAttributes } from "./conv-geometry.ts";
import { convAxes, samePadding } from "./conv-geometry.ts";
import { inputGradient } from "./input-gradient.ts";
import { imageWindow } from "./moving.ts";
import { composed, wrap } from "./replace-kernel.ts";

interface GradientAttributes extends ConvAttributes {
  readonly inputShape: readonly number[];
  readonly filterShape: readonly number[];
}

export function registerConvolutions(): void {
  for (const kernel of ["Conv2D", "FusedConv2D"]) padExplicitly(kernel, false);
  for (const kernel of ["DepthwiseConv2dNative", "FusedDepthwiseConv2D"]) padExplicitly(kernel, true);
  composed("Conv2DBackpropInput", (inputs, attributes) => {
    const { inputShape } = attributes as GradientAttributes;
    return conv2dInputGradient(
      inputs["dy"] as tf.Tensor4D,
      inputs["filter"] as tf.Tensor4D,
      inputShape,
      attributes as GradientAttributes,
    );
  });
  composed("Conv2DBackpropFilter", (inputs, attributes) => {
    const { filterShape } = attributes as GradientAttributes;
    return conv2dFilterGradient(
      inputs["x"] as tf.Tensor4D,
      inputs["dy"] as tf.Tensor4D,
      filterShape,
      attributes as GradientAttributes,
    );
  });
}

/**
 * Passes `same` padding as numbers. With "same", the backend is wrong if one dimension is padded and a stride skips the
 * end of the other.
 */
function padExplicitly(kernelName: string, depthwise: boolean): void {
  wrap(kernelName, (call, original) => {
    const attributes = call.attrs as unknown as ConvAttributes;
    if (attributes.pad !== "same") return original(call);
    const { x, filter } = call.inputs as { x: tf.TensorInfo; filter: tf.TensorInfo };
    const pad = samePadding(x.shape, filter.shape, attributes, depthwise);
    return original({ ...call, attrs: { ...call.attrs, pad: pad as unknown as number[] } });
  });
}

/** Computes the gradient of the input, `[N, H, W, C]`, from `dy` `[N, H', W', F]` and a filter `[h, w, C, F]`. */
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

/**
 * Computes the gradient of the filter `[h, w, C, F]`, as a convolution in which the images are the channels and the
 * stride is the dilation.
 */
export function conv2dFilterGradient(
  x: tf.Tensor4D,
  dy: tf.Tensor4D,
  filterShape: readonly number[],
  attributes: ConvAttributes,
): tf.Tensor4D {
  const [rows, columns] = convAxes(x.shape, filterShape, attributes, false);
  const starts = [-rows.before, -columns.before] as const;
  if (rows.taps === 1 && columns.taps === 1) {
    const strides = [rows.stride, columns.stride] as const;
    return pointwiseFilterGradient(imageWindow(x, starts, [rows.output, columns.output], strides), dy);
  }
  const framed = imageWindow(x, starts, [extentOf(rows), extentOf(columns)]);
  const images = tf.transpose(framed, [3, 1, 2, 0]);
  const gradients = tf.transpose(dy, [1, 2, 0, 3]);
  const sums = tf.conv2d(images, gradients, [rows.dilation, columns.dilation], "valid", "NHWC", [
    rows.stride,
    columns.stride,
  ]);
  return tf.transpose(sums, [1, 2, 0, 3]);
}

/** Returns the number of positions of the padded input that the filter reads. */
function extentOf({ output, stride, taps, dilation }: Axis): number {
  return (output - 1) * stride + (taps - 1) * dilation + 1;
}

function pointwiseFilterGradient(read: tf.Tensor4D, dy: tf.Tensor4D): tf.Tensor4D {
  const [channels, filters] = [read.shape[3], dy.shape[3]];
  const product = tf.matMul(tf.reshape(read, [-1, channels]), tf.reshape(dy, [-1, filters]), true, false);
  return tf.reshape(product, [1, 1, channels, filters]);
}
