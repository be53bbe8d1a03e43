/**
 * @file A layer whose kernel is kept at a spectral norm of 1 in training
 * (`keras/src/layers/normalization/spectral_normalization.py`).
 */
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { numberAt } from "../topology/config-values.ts";
import { nestedLayer } from "../topology/specs/recurrent-cells.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { weightIn } from "./kernel.ts";
import { weightsBelow } from "./recurrent/cells.ts";
import type { KernelOf } from "./wrappers.ts";
import { runInside } from "./wrappers.ts";

/** Returns the kernel of SpectralNormalization. `kernelOf` finds the kernel of the layer inside. */
export function spectralNormalizationKernels(kernelOf: KernelOf): Readonly<Record<string, Kernel>> {
  return { SpectralNormalization: (call) => spectralNormalization(call, kernelOf) };
}

/**
 * Runs the layer inside. If it trains, its kernel is first divided by its norm, and the result is kept; otherwise the
 * stored kernel is used.
 */
function spectralNormalization(call: KernelCall, kernelOf: KernelOf): KernelResult {
  const layer = nestedLayer(call.config, "layer");
  const weights = weightsBelow(call.weights, "layer");
  const run = (changed: Readonly<Record<string, tf.Tensor>>): KernelResult =>
    runInside(kernelOf, layer, { ...call, weights: { ...weights, ...changed }, kwargs: {} });
  if (!call.context.training || call.context.statistics === "stored") return run({});
  const name = "embeddings" in weights ? "embeddings" : "kernel";
  const kernel = weightIn(weights, name);
  const iterations = numberAt(call.config, "power_iterations");
  const { sigma, vector } = largestSingularValue(kernel, weightIn(call.weights, "vector_u"), iterations);
  const divided = renewed(kernel, tf.div(kernel, sigma));
  return { ...run({ [name]: divided }), state: { [`layer/${name}`]: divided, vector_u: vector } };
}

/**
 * Estimates the largest singular value by power iteration on the kernel as a matrix `[-1, outputs]`, starting from the
 * vector `[1, outputs]` of the last step.
 */
function largestSingularValue(
  kernel: tf.Tensor,
  start: tf.Tensor,
  iterations: number,
): { sigma: tf.Tensor; vector: tf.Tensor } {
  const outputs = sizeAt(kernel.shape, -1);
  const matrix = tf.reshape(kernel, [-1, outputs]) as tf.Tensor2D;
  let vector = start as tf.Tensor2D;
  let other = vector;
  for (let iteration = 0; iteration < iterations; iteration++) {
    other = unit(tf.matMul(vector, matrix, false, true));
    vector = unit(tf.matMul(other, matrix));
  }
  const sigma = tf.reshape(tf.matMul(tf.matMul(other, matrix), vector, false, true), []);
  // A kernel of zeros and its vector are unchanged.
  const empty = tf.logicalNot(tf.any(tf.notEqual(kernel, 0)));
  return {
    sigma: tf.where(empty, 1, sigma),
    vector: tf.where(tf.logicalOr(empty, tf.zeros(start.shape, "bool")), start, vector),
  };
}

function unit(vector: tf.Tensor2D): tf.Tensor2D {
  const inverse = tf.minimum(tf.rsqrt(tf.sum(tf.square(vector))), 1e7);
  return tf.mul(vector, inverse);
}

/** Replaces a kernel by `value`. Keras assigns it, so the gradient of the kernel is that of the assigned value. */
function renewed(kernel: tf.Tensor, value: tf.Tensor): tf.Tensor {
  const assign = tf.customGrad(() => ({ value: value.clone(), gradFunc: (dy: tf.Tensor) => dy.clone() }));
  return assign(kernel);
}
