/** @file Normalization layers (`keras/src/layers/normalization`). */

import type { JsonObject } from "../checkpoint.ts";
import type { BatchNormalized } from "../engine/normalization-operations.ts";
import {
  batchNormalizationBatch,
  batchNormalizationStored,
  rowNormalization,
} from "../engine/normalization-operations.ts";
import { tf } from "../engine/tf.ts";
import { optionSetTo } from "../options.ts";
import { sizeAt } from "../tensor.ts";
import { isTrueAt, numberAt, numberList } from "../topology/config-values.ts";
import { axesOf, axisOf, inverseOrder } from "./axes.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { firstInput, unsupported, weightIn } from "./kernel.ts";

export const normalizationKernels: Readonly<Record<string, Kernel>> = {
  BatchNormalization: batchNormalization,
  LayerNormalization: layerNormalization,
  RMSNormalization: rmsNormalization,
  GroupNormalization: groupNormalization,
  UnitNormalization: ({ inputs, config }) =>
    unitLength(firstInput(inputs), numberList(config["axis"]), 1e-12),
};

/** Divides `x` by its Euclidean norm over `axes` (`keras/src/ops/nn.py`, normalize). */
export function unitLength(x: tf.Tensor, axes: readonly number[], epsilon: number): tf.Tensor {
  const squares = tf.sum(tf.square(x), axesOf(axes, x.rank), true);
  return tf.mul(x, tf.minimum(tf.rsqrt(squares), 1 / epsilon));
}

function batchNormalization(call: KernelCall): KernelResult {
  const { inputs, weights, config, context } = call;
  const x = firstInput(inputs);
  const epsilon = numberAt(config, "epsilon");
  const order = axisLast(axisOf(numberAt(config, "axis"), x.rank), x.rank);
  const turned = order ? tf.transpose(x, order) : x;
  const back = (y: tf.Tensor): tf.Tensor => (order ? tf.transpose(y, inverseOrder(order)) : y);
  const { gamma, beta } = weights;
  const movingMean = weightIn(weights, "moving_mean");
  const movingVariance = weightIn(weights, "moving_variance");
  if (context.statistics === "stored") {
    const output = batchNormalizationStored(turned, movingMean, movingVariance, beta, gamma, epsilon);
    return { outputs: [back(output)] };
  }
  if (isTrueAt(config, "renorm")) {
    throw unsupported("batch renormalization in training", `Use ${optionSetTo("bnMode", "inference")}.`);
  }
  // Keras 2 uses masks from 2.12 on, but not in its fused form for images.
  const ignoresMask = config["masked_statistics"] === false || (context.keras === 2 && x.rank === 4);
  const mask = ignoresMask ? undefined : call.masks[0];
  const { output, mean, variance } = mask
    ? maskedBatchNormalization(turned, mask, beta, gamma, epsilon)
    : batchNormalizationBatch(turned, beta, gamma, epsilon);
  const momentum = numberAt(config, "momentum");
  const isFused = context.keras === 2 && x.rank === 4 && [1, 3].includes(axisOf(numberAt(config, "axis"), 4));
  const spread = isFused ? tf.mul(variance, unbiased(turned)) : variance;
  return {
    outputs: [back(output)],
    state: {
      moving_mean: movingAverage(movingMean, mean, momentum),
      moving_variance: movingAverage(movingVariance, spread, momentum),
    },
  };
}

/**
 * Returns the factor that turns a population variance over `x` `[..., C]` into a sample variance. Keras 2 uses the
 * latter for the moving variance in its fused form for images.
 */
function unbiased(x: tf.Tensor): number {
  const count = x.size / sizeAt(x.shape, -1);
  return count / Math.max(1, count - 1);
}

/** Normalizes everything by the statistics of the positions that the mask `[N, ...]` shows. */
function maskedBatchNormalization(
  x: tf.Tensor,
  mask: tf.Tensor,
  beta: tf.Tensor | undefined,
  gamma: tf.Tensor | undefined,
  epsilon: number,
): BatchNormalized {
  const shown = tf.expandDims(tf.cast(mask, "float32"), -1);
  const axes = x.shape.map((_, axis) => axis).slice(0, -1);
  const count = tf.add(tf.sum(shown), 1e-7);
  const mean = tf.div(tf.sum(tf.mul(x, shown), axes), count);
  const variance = tf.div(tf.sum(tf.mul(tf.square(tf.sub(x, mean)), shown), axes), count);
  return { output: batchNormalizationStored(x, mean, variance, beta, gamma, epsilon), mean, variance };
}

function movingAverage(average: tf.Tensor, value: tf.Tensor, momentum: number): tf.Tensor {
  return tf.add(tf.mul(average, momentum), tf.mul(value, 1 - momentum));
}

/** Returns the order that moves `axis` to the end, undefined if it is there. */
function axisLast(axis: number, rank: number): number[] | undefined {
  if (axis === rank - 1) return undefined;
  const others = Array.from({ length: rank }, (_, index) => index).filter((index) => index !== axis);
  return [...others, axis];
}

function layerNormalization({ inputs, weights, config }: KernelCall): tf.Tensor {
  const x = firstInput(inputs);
  const axes = statisticsAxes(x, config);
  const { gamma, beta } = weights;
  const isByRows = axes.length === 1 && axes[0] === x.rank - 1 && x.rank > 1;
  const rows =
    isByRows && gamma && beta && !isTrueAt(config, "rms_scaling")
      ? rowNormalization(x, gamma, beta, numberAt(config, "epsilon"))
      : undefined;
  if (rows) return rows;
  const mean = tf.mean(x, axes, true);
  const centered = tf.sub(x, mean);
  const inverse = inverseDeviation(tf.mean(tf.square(centered), axes, true), config);
  // `rms_scaling` divides by the deviation without centering first.
  const normalized = tf.mul(isTrueAt(config, "rms_scaling") ? x : centered, inverse);
  return scaledAndShifted(normalized, gamma, beta, axes);
}

function rmsNormalization({ inputs, weights, config }: KernelCall): tf.Tensor {
  const x = firstInput(inputs);
  const axes = statisticsAxes(x, config);
  const inverse = inverseDeviation(tf.mean(tf.square(x), axes, true), config);
  return scaledAndShifted(tf.mul(x, inverse), weights["scale"], undefined, axes);
}

/** Normalizes `[..., C, ...]` as `[..., groups, C / groups, ...]`. With -1 groups, each channel is a group. */
function groupNormalization({ inputs, weights, config }: KernelCall): tf.Tensor {
  const x = firstInput(inputs);
  const axis = axisOf(numberAt(config, "axis"), x.rank);
  const channels = sizeAt(x.shape, axis);
  const wanted = numberAt(config, "groups");
  const groups = wanted === -1 ? channels : wanted;
  const split = [...x.shape.slice(0, axis), groups, channels / groups, ...x.shape.slice(axis + 1)];
  const grouped = tf.reshape(x, split);
  const axes = split.map((_, index) => index).filter((index) => index !== 0 && index !== axis);
  const centered = tf.sub(grouped, tf.mean(grouped, axes, true));
  const inverse = inverseDeviation(tf.mean(tf.square(centered), axes, true), config);
  const normalized = tf.reshape(tf.mul(centered, inverse), x.shape);
  return scaledAndShifted(normalized, weights["gamma"], weights["beta"], [axis]);
}

function statisticsAxes(x: tf.Tensor, config: JsonObject): number[] {
  return axesOf(numberList(config["axis"]), x.rank).sort((a, b) => a - b);
}

function inverseDeviation(variance: tf.Tensor, config: JsonObject): tf.Tensor {
  return tf.rsqrt(tf.add(variance, numberAt(config, "epsilon")));
}

function scaledAndShifted(
  x: tf.Tensor,
  scale: tf.Tensor | undefined,
  shift: tf.Tensor | undefined,
  axes: readonly number[],
): tf.Tensor {
  const shape = x.shape.map((size, axis) => (axes.includes(axis) ? size : 1));
  const scaled = scale ? tf.mul(x, tf.reshape(scale, shape)) : x;
  return shift ? tf.add(scaled, tf.reshape(shift, shape)) : scaled;
}
