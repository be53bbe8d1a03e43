/**
 * @file The heavy operations of Keras layers on channels-last tensors, differentiable by the tape. If a backend has a
 * better kernel or a leaner gradient for one of them, it is called here, so that layers need not know.
 */

import type { Tuple } from "../tensor.ts";
import { sizeAt } from "../tensor.ts";
import type { GruOutputs } from "./kernels/gru.ts";
import type { LstmOutputs } from "./kernels/lstm.ts";
import { run } from "./kernels/own-kernel.ts";
import { composedGelu, composedSwish } from "./kernels/smooth-activations.ts";
import { nativeBackend } from "./native-engine.ts";
import { isRecording } from "./tape.ts";
import { tf } from "./tf.ts";

export type Padding = "same" | "valid";

/** One number for each spatial dimension. */
export type Spatial = readonly number[];

/**
 * Convolves `[N, H, W, C]` with a filter `[h, w, C, F]` to `[N, H', W', F]`. As in Keras, only one of strides and
 * dilation may be above 1.
 */
export function conv2d(
  x: tf.Tensor,
  filter: tf.Tensor,
  strides: Spatial,
  padding: Padding,
  dilation: Spatial = [1, 1],
): tf.Tensor {
  const dilated = inflateFilter(filter, dilation);
  return tf.conv2d(x as tf.Tensor4D, dilated as tf.Tensor4D, pair(strides), padding);
}

/** Convolves and adds a bias `[F]`, in one pass less than separate operations. */
export function conv2dBias(
  x: tf.Tensor,
  filter: tf.Tensor,
  bias: tf.Tensor,
  strides: Spatial,
  padding: Padding,
  dilation: Spatial = [1, 1],
): tf.Tensor {
  const inputs = { x, filter: inflateFilter(filter, dilation), bias };
  return run("Conv2DBias", inputs, { strides: pair(strides), pad: padding });
}

/** Convolves each channel of `[N, H, W, C]` with a filter `[h, w, C, M]` to `[N, H', W', C * M]`. */
export function depthwiseConv2d(
  x: tf.Tensor,
  filter: tf.Tensor,
  strides: Spatial,
  padding: Padding,
  dilation: Spatial = [1, 1],
): tf.Tensor {
  const dilated = inflateFilter(filter, dilation);
  return tf.depthwiseConv2d(x as tf.Tensor4D, dilated as tf.Tensor4D, pair(strides), padding);
}

/**
 * Computes the gradient of a convolution with respect to its input, used as a layer: `[N, H, W, C]` and a filter `[h,
 * w, F, C]` give `outputShape`, `[N, H', W', F]`.
 */
export function conv2dTranspose(
  x: tf.Tensor,
  filter: tf.Tensor,
  outputShape: readonly number[],
  strides: Spatial,
  padding: Padding,
  dilation: Spatial = [1, 1],
): tf.Tensor {
  return tf.conv2dTranspose(
    x as tf.Tensor4D,
    inflateFilter(filter, dilation) as tf.Tensor4D,
    outputShape as [number, number, number, number],
    pair(strides),
    padding,
  );
}

/** Adds a bias `[C]` along the last axis. */
export function biasAdd(x: tf.Tensor, bias: tf.Tensor): tf.Tensor {
  return run("BiasAdd", { x, bias });
}

/** Multiplies `[..., K]` by `[K, F]` to `[..., F]`. */
export function dense(x: tf.Tensor, kernel: tf.Tensor): tf.Tensor {
  const [depth, units] = kernel.shape as [number, number];
  const flat = x.rank === 2 ? x : tf.reshape(x, [-1, depth]);
  const product = tf.matMul(flat as tf.Tensor2D, kernel as tf.Tensor2D);
  return x.rank === 2 ? product : tf.reshape(product, [...x.shape.slice(0, -1), units]);
}

export function relu(x: tf.Tensor): tf.Tensor {
  return tf.relu(x);
}

export function relu6(x: tf.Tensor): tf.Tensor {
  return tf.relu6(x);
}

/** Computes `x * sigmoid(x)`, also called silu. */
export function swish(x: tf.Tensor): tf.Tensor {
  // Elsewhere the gradient is faster if the sigmoid is kept than if it is computed again.
  return nativeBackend() ? run("Swish", { x }) : composedSwish({ x });
}

/** Computes `x * Phi(x)`, where `Phi` is the distribution function of the normal distribution, also called GELU. */
export function gelu(x: tf.Tensor): tf.Tensor {
  const hasSlope = nativeBackend() !== undefined && isRecording();
  return hasSlope ? run<Tuple<tf.Tensor, 2>>("SlopedGelu", { x })[0] : composedGelu({ x });
}

/** Adds two tensors, which broadcast against each other. */
export function add(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.add(a, b);
}

/**
 * Runs an LSTM with tanh and sigmoid over `x` `[T, N, I]` from states `h` and `c` `[N, U]`, with weights `[I, 4 U]`,
 * `[U, 4 U]` and `[4 U]` in Keras's order of gates. Returns h and c of every step, each `[T, N, U]`.
 */
export function lstm(
  x: tf.Tensor,
  [h, c]: readonly [tf.Tensor, tf.Tensor],
  kernel: tf.Tensor,
  recurrentKernel: tf.Tensor,
  bias: tf.Tensor | undefined,
): [tf.Tensor, tf.Tensor] {
  const both = tf.concat([kernel, recurrentKernel], 0);
  const inputs = { x, h, c, kernel: both, bias: bias ?? tf.zeros([sizeAt(kernel.shape, 1)]) };
  const [hs, cs] = run<LstmOutputs>("LstmSequence", inputs);
  return [hs, cs];
}

/**
 * Runs a GRU with tanh and sigmoid and the reset gate after the product, from `h` `[N, U]`. Returns h of every step,
 * `[T, N, U]`.
 * @param x The inputs' part of the gates, `[T, N, 3 U]`.
 */
export function gru(
  x: tf.Tensor,
  h: tf.Tensor,
  recurrentKernel: tf.Tensor,
  recurrentBias: tf.Tensor | undefined,
): tf.Tensor {
  const bias = recurrentBias ?? tf.zeros([sizeAt(recurrentKernel.shape, 1)]);
  return run<GruOutputs>("GruSequence", { x, h, kernel: recurrentKernel, bias })[0];
}

/**
 * Computes the recurrence `h = tanh(x + h * kernel)` over `x` `[T, N, U]` from `h` `[N, U]`. Returns h of every step,
 * `[T, N, U]`.
 */
export function simpleRnn(x: tf.Tensor, h: tf.Tensor, kernel: tf.Tensor): tf.Tensor {
  return run("SimpleRnnSequence", { x, h, kernel });
}

/**
 * Computes the cross-entropy of a softmax, `[N]`, and its gradient by the logits, `[N, K]`: the softmax less the target, also where a
 * target does not add up to 1. Both inputs are `[N, K]`.
 */
export function softmaxCrossentropyWithSlopes(
  truth: tf.Tensor,
  logits: tf.Tensor,
): { readonly losses: tf.Tensor; readonly slopes: tf.Tensor } {
  const [losses, slopes] = run<[tf.Tensor, tf.Tensor]>("SoftmaxCrossentropy", { logits, truth });
  return { losses, slopes };
}

/** Computes the maximum of each window of `[N, H, W, C]`. */
export function maxPool2d(x: tf.Tensor, poolSize: Spatial, strides: Spatial, padding: Padding): tf.Tensor {
  return tf.maxPool(x as tf.Tensor4D, pair(poolSize), pair(strides), padding);
}

/** Computes the mean of each window of `[N, H, W, C]`, without the positions that `same` padding adds. */
export function averagePool2d(
  x: tf.Tensor,
  poolSize: Spatial,
  strides: Spatial,
  padding: Padding,
): tf.Tensor {
  return tf.avgPool(x as tf.Tensor4D, pair(poolSize), pair(strides), padding);
}

/** Computes the mean over `axes`. */
export function mean(x: tf.Tensor, axes: readonly number[], keepDims = false): tf.Tensor {
  return tf.mean(x, [...axes], keepDims);
}

/** Computes the maximum over `axes`. Equal values share the gradient, as in TensorFlow. */
export function max(x: tf.Tensor, axes: readonly number[], keepDims = false): tf.Tensor {
  return tf.max(x, [...axes], keepDims);
}

/** Returns the `same` padding on both sides of each spatial dimension, as in TensorFlow. */
export function samePadding(sizes: Spatial, windows: Spatial, strides: Spatial): [number, number][] {
  return sizes.map((size, axis) => {
    const [window, stride] = [sizeAt(windows, axis), sizeAt(strides, axis)];
    const total = Math.max((Math.ceil(size / stride) - 1) * stride + window - size, 0);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
}

/** Inserts zeros between the taps of a filter `[..spatial, C, F]`, which then needs no dilation. */
export function inflateFilter(filter: tf.Tensor, dilation: Spatial): tf.Tensor {
  return dilation.reduce((taps, rate, axis) => (rate === 1 ? taps : inflateAxis(taps, rate, axis)), filter);
}

function inflateAxis(filter: tf.Tensor, rate: number, axis: number): tf.Tensor {
  const { shape } = filter;
  const outer = shape.slice(0, axis).reduce((product, size) => product * size, 1);
  const size = sizeAt(shape, axis);
  const inner = shape.slice(axis + 1).reduce((product, extent) => product * extent, 1);
  const spread = tf.pad(tf.reshape(filter, [outer, size, 1, inner]), [
    [0, 0],
    [0, 0],
    [0, rate - 1],
    [0, 0],
  ]);
  const taps = (size - 1) * rate + 1;
  const cut = tf.slice(tf.reshape(spread, [outer, size * rate, inner]), [0, 0, 0], [outer, taps, inner]);
  return tf.reshape(cut, [...shape.slice(0, axis), taps, ...shape.slice(axis + 1)]);
}

export function pair(values: Spatial): [number, number] {
  return [sizeAt(values, 0), sizeAt(values, 1)];
}

/**
 * Selects values from two tensors of one shape: from `one` where `shown` is true, else from `other`. `shown` broadcasts
 * to their shape.
 */
export function chosen(shown: tf.Tensor, one: tf.Tensor, other: tf.Tensor): tf.Tensor {
  return tf.where(tf.logicalOr(shown, tf.cast(tf.zerosLike(one), "bool")), one, other);
}
