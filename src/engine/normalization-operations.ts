/** @file The normalizations of Keras layers, alone and together with the convolution before them, differentiable by the tape. */
import type { Tuple } from "../tensor.ts";
import { sizeAt } from "../tensor.ts";
import { run } from "./kernels/own-kernel.ts";
import { nativeBackend } from "./native-engine.ts";
import type { Padding, Spatial } from "./operations.ts";
import { pair } from "./operations.ts";
import { tf } from "./tf.ts";

/**
 * Normalizes each row along the last axis by its own mean and variance, then scales and shifts it by `gamma` and `beta` `[C]`. Returns
 * undefined where an engine has no better kernel than the operations that this consists of.
 */
export function rowNormalization(
  x: tf.Tensor,
  gamma: tf.Tensor,
  beta: tf.Tensor,
  epsilon: number,
): tf.Tensor | undefined {
  return nativeBackend() && run("LayerNorm", { x, gamma, beta }, { epsilon });
}

/** Normalizes along the last axis by given statistics `[C]`: `(x - mean) / sqrt(variance + epsilon) * gamma + beta`. */
export function batchNormalizationStored(
  x: tf.Tensor,
  mean: tf.Tensor,
  variance: tf.Tensor,
  beta: tf.Tensor | undefined,
  gamma: tf.Tensor | undefined,
  epsilon: number,
): tf.Tensor {
  const inputs = { x, mean, variance, gamma: gamma ?? tf.onesLike(mean), beta: beta ?? tf.zerosLike(mean) };
  return run("BatchNormStored", inputs, { epsilon });
}

/** Weights of a normalization along the last axis by stored statistics, each `[C]`. */
export interface StoredNormalization {
  readonly mean: tf.Tensor;
  readonly variance: tf.Tensor;
  readonly gamma: tf.Tensor | undefined;
  readonly beta: tf.Tensor | undefined;
  readonly epsilon: number;
}

/**
 * Computes a convolution (depthwise or not), its bias if it has one, and the normalization after it, without
 * intermediate tensors: `[N, H, W, C]` and a filter `[h, w, C, F]` give `[N, H', W', F]`, or `C * F` channels if
 * depthwise.
 */
export function normalizedConvolution(
  x: tf.Tensor,
  filter: tf.Tensor,
  bias: tf.Tensor | undefined,
  normalization: StoredNormalization,
  window: { readonly strides: Spatial; readonly padding: Padding; readonly depthwise: boolean },
): tf.Tensor {
  const { mean, variance, gamma, beta, epsilon } = normalization;
  const inputs = {
    x,
    filter,
    bias: bias ?? tf.zerosLike(mean),
    mean,
    variance,
    gamma: gamma ?? tf.onesLike(mean),
    beta: beta ?? tf.zerosLike(mean),
  };
  const kernel = window.depthwise ? "DepthwiseConv2DNormalized" : "Conv2DNormalized";
  return run(kernel, inputs, { strides: pair(window.strides), pad: window.padding, epsilon });
}

export interface BatchNormalized {
  readonly output: tf.Tensor;
  /** Mean of this batch, `[C]`. No gradient flows through it. */
  readonly mean: tf.Tensor;
  /** Population variance of this batch, `[C]`. No gradient flows through it. */
  readonly variance: tf.Tensor;
}

/** Normalizes along the last axis by the batch's own statistics, through which the gradient flows. */
export function batchNormalizationBatch(
  x: tf.Tensor,
  beta: tf.Tensor | undefined,
  gamma: tf.Tensor | undefined,
  epsilon: number,
): BatchNormalized {
  const shape = [sizeAt(x.shape, -1)];
  const inputs = { x, gamma: gamma ?? tf.ones(shape), beta: beta ?? tf.zeros(shape) };
  const [output, mean, variance] = run<Tuple<tf.Tensor, 3>>("BatchNormBatch", inputs, { epsilon });
  return { output, mean, variance };
}
