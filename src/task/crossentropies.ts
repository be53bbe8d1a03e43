/** Keras's cross-entropies (`keras/src/losses/losses.py`, `keras/src/backend/tensorflow/nn.py`), from logits wherever Keras has them. */
import { tf } from "../engine/tf.ts";
import type { LossDefinition, LossSettings } from "./loss-definition.ts";
import { epsilon } from "./loss-definition.ts";
import type { Output } from "./model-output.ts";
import { activated } from "./model-output.ts";

export const crossentropies: Readonly<Record<string, LossDefinition>> = {
  categorical_crossentropy: {
    className: "CategoricalCrossentropy",
    defaults: { from_logits: false, label_smoothing: 0, axis: -1 },
    perSample: (settings) => (targets, output) => {
      const smooth = smoothed(targets, settings, targets.shape.at(-1)!);
      return tf.neg(tf.sum(tf.mul(smooth, logProbabilities(output, settings)), -1));
    },
  },
  sparse_categorical_crossentropy: {
    className: "SparseCategoricalCrossentropy",
    targets: "indices",
    defaults: { from_logits: false, ignore_class: null, axis: -1 },
    perSample: (settings) => (targets, output) => {
      const classes = output.values.shape.at(-1)!;
      const indices = targets.rank === output.values.rank ? tf.squeeze(targets, [-1]) : targets;
      const oneHot = tf.cast(tf.oneHot(tf.cast(indices, "int32"), classes), "float32");
      if (givesLogits(output, settings)) {
        return tf.neg(tf.sum(tf.mul(oneHot, logSoftmax(output.values)), -1));
      }
      const clipped = tf.clipByValue(output.values, epsilon, 1 - epsilon);
      return tf.neg(tf.sum(tf.mul(oneHot, logSoftmax(tf.log(clipped))), -1));
    },
  },
  binary_crossentropy: {
    className: "BinaryCrossentropy",
    aliases: ["bce"],
    defaults: { from_logits: false, label_smoothing: 0, axis: -1 },
    perSample: (settings) => (targets, output) => {
      return tf.mean(binaryCrossentropy(smoothed(targets, settings, 2), output, settings), -1);
    },
  },
  categorical_focal_crossentropy: {
    className: "CategoricalFocalCrossentropy",
    defaults: { alpha: 0.25, gamma: 2, from_logits: false, label_smoothing: 0, axis: -1 },
    perSample: (settings) => (targets, output) => {
      const { alpha, gamma } = settings as { alpha: number; gamma: number };
      const given = activated(output);
      const shares = settings["from_logits"] === true ? tf.softmax(given) : given;
      const p = tf.clipByValue(tf.div(shares, tf.sum(shares, -1, true)), epsilon, 1 - epsilon);
      const entropy = tf.mul(smoothed(targets, settings, targets.shape.at(-1)!), tf.log(p));
      return tf.mul(tf.sum(tf.mul(tf.pow(tf.sub(1, p), gamma), entropy), -1), -alpha);
    },
  },
  binary_focal_crossentropy: {
    className: "BinaryFocalCrossentropy",
    defaults: {
      apply_class_balancing: false,
      alpha: 0.25,
      gamma: 2,
      from_logits: false,
      label_smoothing: 0,
      axis: -1,
    },
    perSample: (settings) => (targets, output) => {
      const { alpha, gamma } = settings as { alpha: number; gamma: number };
      const truth = smoothed(targets, settings, 2);
      const given = activated(output);
      const p = settings["from_logits"] === true ? tf.sigmoid(given) : given;
      const likely = tf.add(tf.mul(truth, p), tf.mul(tf.sub(1, truth), tf.sub(1, p)));
      const focal = tf.mul(tf.pow(tf.sub(1, likely), gamma), binaryCrossentropy(truth, output, settings));
      if (settings["apply_class_balancing"] !== true) return tf.mean(focal, -1);
      const balance = tf.add(tf.mul(truth, alpha), tf.mul(tf.sub(1, truth), 1 - alpha));
      return tf.mean(tf.mul(balance, focal), -1);
    },
  },
};

/** Targets drawn toward `classes` equal shares. */
function smoothed(targets: tf.Tensor, settings: LossSettings, classes: number): tf.Tensor {
  const smoothing = settings["label_smoothing"] as number;
  return smoothing > 0 ? tf.add(tf.mul(targets, 1 - smoothing), smoothing / classes) : targets;
}

/** Of each unit. */
function binaryCrossentropy(truth: tf.Tensor, output: Output, settings: LossSettings): tf.Tensor {
  if (givesLogits(output, settings)) return sigmoidCrossentropy(truth, output.values);
  const p = tf.clipByValue(output.values, epsilon, 1 - epsilon);
  return tf.neg(tf.add(tf.mul(truth, tf.log(p)), tf.mul(tf.sub(1, truth), tf.log(tf.sub(1, p)))));
}

/**
 * Whether the values are taken for logits. They are what entered a softmax or a sigmoid whichever of them the loss expects: Keras
 * keeps them with the output and asks no further (`_get_logits` in `keras/src/backend/tensorflow/nn.py`).
 */
function givesLogits({ activation }: Output, settings: LossSettings): boolean {
  return activation !== "none" || settings["from_logits"] === true;
}

function logProbabilities(output: Output, settings: LossSettings): tf.Tensor {
  if (givesLogits(output, settings)) return logSoftmax(output.values);
  const scaled = tf.div(output.values, tf.sum(output.values, -1, true));
  return tf.log(tf.clipByValue(scaled, epsilon, 1 - epsilon));
}

function logSoftmax(logits: tf.Tensor): tf.Tensor {
  const shifted = tf.sub(logits, highest(logits) as tf.Tensor);
  return tf.sub(shifted, tf.log(tf.sum(tf.exp(shifted), -1, true)));
}

/** The largest logit, as a constant: softmax does not depend on it, so no gradient need go through it. */
const highest = tf.customGrad((logits) => ({
  value: tf.max(logits as tf.Tensor, -1, true),
  gradFunc: () => tf.zerosLike(logits as tf.Tensor),
}));

/** As `tf.nn.sigmoid_cross_entropy_with_logits`; softplus has the right gradient at a logit of exactly 0. */
function sigmoidCrossentropy(targets: tf.Tensor, logits: tf.Tensor): tf.Tensor {
  return tf.sub(tf.softplus(logits), tf.mul(logits, targets));
}
