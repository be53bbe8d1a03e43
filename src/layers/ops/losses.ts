/** @file Losses as nodes of a model (`keras/src/ops/nn.py`). */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt, numberAt } from "../../topology/config-values.ts";
import { logSoftmax, stopGradient } from "../activation-functions.ts";
import { axisOf } from "../axes.ts";
import type { Kernel, KernelCall } from "../kernel.ts";
import { decoded } from "./ctc-decode.ts";
import { temporalLoss } from "./ctc-loss.ts";
import { operandsOf } from "./operands.ts";

export const lossOpKernels: Readonly<Record<string, Kernel>> = {
  "ops.BinaryCrossentropy": binary,
  "ops.CategoricalCrossentropy": categorical,
  "ops.SparseCategoricalCrossentropy": sparse,
  "ops.CTCLoss": temporalLoss,
  "ops.CTCDecode": decoded,
};

const epsilon = 1e-7;

function clipped(shares: tf.Tensor): tf.Tensor {
  return tf.clipByValue(shares, epsilon, 1 - epsilon);
}

function binary(call: KernelCall): tf.Tensor {
  const [target, output] = operandsOf(call, 2);
  if (isTrueAt(call.config, "from_logits")) {
    const tail = tf.log1p(tf.exp(tf.neg(tf.abs(output))));
    return tf.add(tf.sub(tf.relu(output), tf.mul(output, target)), tail);
  }
  const share = clipped(output);
  const hit = tf.mul(target, tf.log(share));
  return tf.neg(tf.add(hit, tf.mul(tf.sub(1, target), tf.log(tf.sub(1, share)))));
}

function categorical(call: KernelCall): tf.Tensor {
  const [target, output] = operandsOf(call, 2);
  const axis = axisOf(numberAt(call.config, "axis"), output.rank);
  if (isTrueAt(call.config, "from_logits")) return ofLogits(target, output, axis);
  const shares = clipped(tf.div(output, tf.sum(output, axis, true)));
  return tf.neg(tf.sum(tf.mul(target, tf.log(shares)), axis));
}

/**
 * Computes the crossentropy of logits. Their gradient is that of TensorFlow, softmax less target, even if a target does
 * not sum to 1.
 */
function ofLogits(target: tf.Tensor, logits: tf.Tensor, axis: number): tf.Tensor {
  const total = tf.logSumExp(logits, axis);
  const fixed = stopGradient(total);
  const whole = tf.add(tf.mul(tf.sum(target, axis), fixed), tf.sub(total, fixed));
  return tf.sub(whole, tf.sum(tf.mul(target, logits), axis));
}

/** Computes the crossentropy of class indices. Probabilities are normalized. */
function sparse(call: KernelCall): tf.Tensor {
  const [target, output] = operandsOf(call, 2);
  const classes = tf.range(0, sizeAt(output.shape, -1), 1, "int32");
  const labels = target.rank === output.rank ? target : tf.expandDims(target, -1);
  const hot = tf.cast(tf.equal(tf.cast(labels, "int32"), classes), "float32");
  const logits = isTrueAt(call.config, "from_logits") ? output : tf.log(clipped(output));
  return tf.neg(tf.sum(tf.mul(hot, logSoftmax(logits)), -1));
}
