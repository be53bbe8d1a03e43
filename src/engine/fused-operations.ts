/** @file Convolutions and matrix products with their bias and activation, for engines that compute them in one kernel. */
import type { Padding, Spatial } from "./operations.ts";
import { inflateFilter, pair } from "./operations.ts";
import { tf } from "./tf.ts";
import { runFused } from "./webgpu/fused.ts";

/**
 * Convolves (depthwise or not), adds a bias if there is one, and applies an activation of `fusesActivation`, without intermediate
 * tensors.
 */
export function fusedConv2d(
  x: tf.Tensor,
  filter: tf.Tensor,
  bias: tf.Tensor | undefined,
  window: {
    readonly strides: Spatial;
    readonly padding: Padding;
    readonly dilation: Spatial;
    readonly depthwise: boolean;
  },
  activation: string,
): tf.Tensor {
  const inputs = { x, filter: inflateFilter(filter, window.dilation), ...(bias && { bias }) };
  const attributes = {
    strides: pair(window.strides),
    pad: window.padding,
    dilations: [1, 1],
    dataFormat: "NHWC",
  };
  return runFused(window.depthwise ? "FusedDepthwiseConv2D" : "FusedConv2D", inputs, attributes, activation);
}

/** Multiplies `[..., K]` by `[K, F]`, adds a bias `[F]` if there is one, and applies an activation of `fusesActivation`. */
export function fusedDense(
  x: tf.Tensor,
  kernel: tf.Tensor,
  bias: tf.Tensor | undefined,
  activation: string,
): tf.Tensor {
  const [depth, units] = kernel.shape as [number, number];
  const a = tf.reshape(x, [1, -1, depth]);
  const b = tf.reshape(kernel, [1, depth, units]);
  const attributes = { transposeA: false, transposeB: false };
  const product = runFused("_FusedMatMul", { a, b, ...(bias && { bias }) }, attributes, activation);
  return tf.reshape(product, [...x.shape.slice(0, -1), units]);
}
