/**
 * @file Convolutions of every rank (`keras/src/layers/convolutional`). Channels-first tensors are transposed before and
 * after.
 */
import type { JsonObject } from "../checkpoint.ts";
import { fusedConv2d } from "../engine/fused-operations.ts";
import { normalizedConvolution } from "../engine/normalization-operations.ts";
import type { Padding } from "../engine/operations.ts";
import { biasAdd, conv2d, conv2dBias, depthwiseConv2d } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { fusesActivation } from "../engine/webgpu/fused.ts";
import { sizeAt } from "../tensor.ts";
import { isTrueAt, numberAt, numbersAt, stringAt } from "../topology/config-values.ts";
import type { GraphLayer } from "../topology/layer-graph.ts";
import { activationName } from "./activation-functions.ts";
import { activate } from "./activations.ts";
import { channelsLast } from "./axes.ts";
import { lowRankAdapted } from "./core.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { firstInput, weightIn } from "./kernel.ts";
import { conv3d } from "./numerics/volume.ts";

export const convolutionKernels: Readonly<Record<string, Kernel>> = {
  Conv1D: convolution(1),
  Conv2D: convolution(2),
  Conv3D: convolution(3),
  DepthwiseConv1D: depthwise(1),
  DepthwiseConv2D: depthwise(2),
  SeparableConv1D: separable(1),
  SeparableConv2D: separable(2),
};

export interface Window {
  readonly strides: readonly number[];
  readonly dilation: readonly number[];
  readonly padding: Padding;
}

function convolution(rank: 1 | 2 | 3): Kernel {
  return (call) => {
    const { inputs, config } = call;
    const kernel = lowRankAdapted(call, "kernel");
    const x = causallyPadded(firstInput(inputs), config, sizeAt(kernel.shape, 0));
    const window = windowIn(config, rank);
    return finished(
      x,
      call,
      (value) => grouped(value, kernel, window),
      (value, bias) => groupedWithBias(value, kernel, bias, window),
      rank === 2 && (config["groups"] ?? 1) === 1
        ? (value, bias, activation) =>
            fusedConv2d(value, kernel, bias, { ...window, depthwise: false }, activation)
        : undefined,
    );
  };
}

function depthwise(rank: 1 | 2): Kernel {
  return (call) => {
    const { inputs, weights, config } = call;
    const kernel = weightIn(weights, "kernel");
    const x = causallyPadded(firstInput(inputs), config, sizeAt(kernel.shape, 0));
    const window = windowIn(config, rank);
    return finished(
      x,
      call,
      (value) => depthwiseOf(value, kernel, window),
      undefined,
      rank === 2
        ? (value, bias, activation) =>
            fusedConv2d(value, kernel, bias, { ...window, depthwise: true }, activation)
        : undefined,
    );
  };
}

function separable(rank: 1 | 2): Kernel {
  return (call) => {
    const { inputs, weights, config } = call;
    const kernel = weightIn(weights, "depthwise_kernel");
    const x = causallyPadded(firstInput(inputs), config, sizeAt(kernel.shape, 0));
    const pointwise: Window = { strides: fill(rank, 1), dilation: fill(rank, 1), padding: "valid" };
    return finished(x, call, (value) => {
      const deep = depthwiseOf(value, kernel, windowIn(config, rank));
      return convolve(deep, weightIn(weights, "pointwise_kernel"), pointwise);
    });
  };
}

/**
 * Applies `compute` to the channels-last tensor, adds the bias, and applies the activation in the layer's own order of
 * axes. `computeWithBias` does the first two in one pass, and `computeFused` all of it, with an activation of `fusesActivation`.
 */
export function finished(
  x: tf.Tensor,
  { config, weights, context }: KernelCall,
  compute: (value: tf.Tensor) => tf.Tensor,
  computeWithBias = (value: tf.Tensor, bias: tf.Tensor): tf.Tensor => biasAdd(compute(value), bias),
  computeFused?: (value: tf.Tensor, bias: tf.Tensor | undefined, activation: string) => tf.Tensor,
): tf.Tensor {
  const activation = activationName(config["activation"]);
  if (computeFused && fusesActivation(activation)) {
    const bias = isTrueAt(config, "use_bias") ? weightIn(weights, "bias") : undefined;
    return channelsLast(x, config, (value) => computeFused(value, bias, activation));
  }
  const biased = channelsLast(x, config, (value) =>
    isTrueAt(config, "use_bias") ? computeWithBias(value, weightIn(weights, "bias")) : compute(value),
  );
  return activate(biased, config["activation"], context.keras);
}

/** Returns strides, dilation and padding of a config. */
export function windowIn(config: JsonObject, rank: number): Window {
  const padding = stringAt(config, "padding");
  return {
    strides: numbersAt(config, "strides", rank),
    dilation: numbersAt(config, "dilation_rate", rank),
    padding: padding === "same" ? "same" : "valid",
  };
}

/** Applies `padding: "causal"` of 1D layers: zeros before the first step only, so that no step sees a later one. */
function causallyPadded(x: tf.Tensor, config: JsonObject, taps: number): tf.Tensor {
  if (config["padding"] !== "causal") return x;
  const steps = config["data_format"] === "channels_first" ? 2 : 1;
  const before = (taps - 1) * numbersAt(config, "dilation_rate", 1)[0]!;
  return tf.pad(
    x,
    x.shape.map((_, axis): [number, number] => [axis === steps ? before : 0, 0]),
  );
}

/**
 * Convolves a channels-last tensor. The number of groups is the ratio of the input's channels to those of the filter.
 */
export function grouped(x: tf.Tensor, kernel: tf.Tensor, window: Window): tf.Tensor {
  const channels = sizeAt(x.shape, -1);
  const depth = sizeAt(kernel.shape, -2);
  const groups = channels / depth;
  if (groups === 1) return convolve(x, kernel, window);
  if (depth === 1 && x.rank < 5) {
    const perChannel = sizeAt(kernel.shape, -1) / groups;
    return depthwiseOf(x, tf.reshape(kernel, [...kernel.shape.slice(0, -2), groups, perChannel]), window);
  }
  const parts = tf.split(x, groups, x.rank - 1);
  const filters = tf.split(kernel, groups, kernel.rank - 1);
  return tf.concat(
    parts.map((part, group) => convolve(part, filters[group]!, window)),
    x.rank - 1,
  );
}

function groupedWithBias(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, window: Window): tf.Tensor {
  const isPlain = x.rank === 4 && x.shape[3] === kernel.shape[2];
  if (!isPlain) return biasAdd(grouped(x, kernel, window), bias);
  return conv2dBias(x, kernel, bias, window.strides, window.padding, window.dilation);
}

/** Convolves without groups, over as many spatial axes as the input has. */
export function convolve(x: tf.Tensor, kernel: tf.Tensor, { strides, padding, dilation }: Window): tf.Tensor {
  if (x.rank === 5) return conv3d(x, kernel, strides, padding, dilation);
  if (x.rank === 4) return conv2d(x, kernel, strides, padding, dilation);
  return asPlane(x, (plane) =>
    conv2d(plane, tf.expandDims(kernel, 0), [1, ...strides], padding, [1, ...dilation]),
  );
}

/**
 * Convolves each channel of a channels-last tensor. Rank 3 is computed as a plane of one row, with its stride on both
 * axes: depthwise kernels require equal strides.
 */
export function depthwiseOf(
  x: tf.Tensor,
  kernel: tf.Tensor,
  { strides, padding, dilation }: Window,
): tf.Tensor {
  if (x.rank === 4) return depthwiseConv2d(x, kernel, strides, padding, dilation);
  const stride = strides[0]!;
  return asPlane(x, (plane) =>
    depthwiseConv2d(plane, tf.expandDims(kernel, 0), [stride, stride], padding, [1, ...dilation]),
  );
}

/** Applies `compute` to `[N, W, C]` as `[N, 1, W, C]`. */
export function asPlane(x: tf.Tensor, compute: (plane: tf.Tensor) => tf.Tensor): tf.Tensor {
  return tf.squeeze(compute(tf.expandDims(x, 1)), [1]);
}

function fill(count: number, value: number): number[] {
  return Array.from({ length: count }, () => value);
}

type LayerWeights = Readonly<Record<string, tf.Tensor>>;

/**
 * Computes a convolution and the BatchNormalization after it as one operation, for layers that `normalizedConvolutions`
 * pairs.
 */
export function convolveNormalized(
  x: tf.Tensor,
  convolution: { readonly layer: GraphLayer; readonly weights: LayerWeights },
  normalization: { readonly layer: GraphLayer; readonly weights: LayerWeights },
): tf.Tensor {
  const { className, config } = convolution.layer;
  const { gamma, beta, moving_mean: mean, moving_variance: variance } = normalization.weights;
  const epsilon = numberAt(normalization.layer.config, "epsilon");
  const bias = isTrueAt(config, "use_bias") ? convolution.weights["bias"] : undefined;
  return normalizedConvolution(
    x,
    weightIn(convolution.weights, "kernel"),
    bias,
    { mean: mean!, variance: variance!, gamma, beta, epsilon },
    {
      strides: numbersAt(config, "strides", 2),
      padding: config["padding"] === "same" ? "same" : "valid",
      depthwise: className === "DepthwiseConv2D",
    },
  );
}
