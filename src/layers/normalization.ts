/** Normalization layers (`keras/src/layers/normalization`). */
import { batchNormalizationBatch, batchNormalizationStored } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { inverseOrder } from "./activation-functions.ts";
import { axisOf, flagIn, numberIn, unsupported } from "./config.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";

export const normalizationKernels: Readonly<Record<string, Kernel>> = {
  BatchNormalization: batchNormalization,
};

function batchNormalization(call: KernelCall): KernelResult {
  const { inputs, weights, config, context } = call;
  const x = inputs[0]!;
  const epsilon = numberIn(config, "epsilon");
  const order = axisLast(axisOf(numberIn(config, "axis"), x.rank), x.rank);
  const turned = order ? tf.transpose(x, order) : x;
  const back = (y: tf.Tensor): tf.Tensor => (order ? tf.transpose(y, inverseOrder(order)) : y);
  const { gamma, beta } = weights;
  const movingMean = weights["moving_mean"]!;
  const movingVariance = weights["moving_variance"]!;
  if (context.statistics === "stored") {
    return {
      outputs: [back(batchNormalizationStored(turned, movingMean, movingVariance, beta, gamma, epsilon))],
    };
  }
  if (flagIn(config, "renorm")) {
    throw unsupported(config, "batch renormalization in training", "Use --bn-mode inference.");
  }
  const { output, mean, variance } = batchNormalizationBatch(turned, beta, gamma, epsilon);
  const momentum = numberIn(config, "momentum");
  return {
    outputs: [back(output)],
    state: {
      moving_mean: movingAverage(movingMean, mean, momentum),
      moving_variance: movingAverage(movingVariance, variance, momentum),
    },
  };
}

function movingAverage(average: tf.Tensor, value: tf.Tensor, momentum: number): tf.Tensor {
  return tf.add(tf.mul(average, momentum), tf.mul(value, 1 - momentum));
}

/** The order that moves `axis` to the end, undefined where it is there. */
function axisLast(axis: number, rank: number): number[] | undefined {
  if (axis === rank - 1) return undefined;
  const others = Array.from({ length: rank }, (_, index) => index).filter((index) => index !== axis);
  return [...others, axis];
}
