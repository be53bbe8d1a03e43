/** Keras's cross-entropies (`keras/src/losses/losses.py`, `keras/src/backend/tensorflow/nn.py`), from logits wherever Keras has them. */
import { softmaxCrossentropyWithSlopes } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { UsageError } from "../../errors.ts";
import { logSoftmax, softmax, stopGradient } from "../../layers/activation-functions.ts";
import { axisOf } from "../../layers/axes.ts";
import { sameShape } from "../../tensor.ts";
import type { LossDefinition, LossSettings, SlopedValues } from "./loss-definition.ts";
import type { Output } from "./output.ts";
import { activated, clipped, logitsOf } from "./output.ts";

export const crossentropies: Readonly<Record<string, LossDefinition>> = {
  categorical_crossentropy: {
    className: "CategoricalCrossentropy",
    kind: "classes",
    defaults: { from_logits: false, label_smoothing: 0, axis: -1 },
    create: (settings) => (targets, output) => {
      const smooth = smoothed(targets, settings, targets.shape.at(-1) ?? 1);
      return categoricalCrossentropy(smooth, output, settings);
    },
    sloped: (settings) => (targets, output) => {
      const logits = plainLogits(output, "softmax", settings);
      if (!logits || !sameShape(targets.shape, logits.shape)) return null;
      return sloped(smoothed(targets, settings, targets.shape.at(-1) ?? 1), logits);
    },
  },
  sparse_categorical_crossentropy: {
    className: "SparseCategoricalCrossentropy",
    kind: "classes",
    targets: "indices",
    defaults: { from_logits: false, ignore_class: null, axis: -1 },
    create: (settings) => {
      requireLastAxis("sparse_categorical_crossentropy", settings);
      return (targets, output) => sparseCrossentropy(targets, output, settings);
    },
    sloped: (settings) => (targets, output) => {
      const logits = settings["ignore_class"] === null ? plainLogits(output, "softmax", settings) : null;
      return logits && sloped(oneHot(indicesOf(targets, logits), logits.shape.at(-1) ?? 1), logits);
    },
  },
  binary_crossentropy: {
    className: "BinaryCrossentropy",
    aliases: ["bce"],
    kind: "labels",
    defaults: { from_logits: false, label_smoothing: 0, axis: -1 },
    create: (settings) => (targets, output) => {
      const entropy = binaryCrossentropy(smoothed(targets, settings, 2), output, settings);
      return tf.mean(entropy, axisIn(settings, entropy.rank));
    },
    sloped: (settings) => (targets, output) => {
      const logits = plainLogits(output, "sigmoid", settings);
      if (!logits || !sameShape(targets.shape, logits.shape)) return null;
      const truth = smoothed(targets, settings, 2);
      return {
        values: tf.mean(sigmoidCrossentropy(truth, logits), -1),
        slopes: tf.sub(tf.sigmoid(logits), truth),
        factor: 1 / (logits.shape.at(-1) ?? 1),
      };
    },
  },
  categorical_focal_crossentropy: {
    className: "CategoricalFocalCrossentropy",
    kind: "classes",
    defaults: { alpha: 0.25, gamma: 2, from_logits: false, label_smoothing: 0, axis: -1 },
    create: (settings) => (targets, output) => {
      const { alpha, gamma } = settings as { alpha: number | readonly number[]; gamma: number };
      const given = activated(output);
      const axis = axisIn(settings, given.rank);
      const shares = settings["from_logits"] === true ? softmax(given, [axis]) : given;
      const p = clipped(tf.div(shares, tf.sum(shares, axis, true)));
      const smooth = smoothed(targets, settings, targets.shape.at(-1) ?? 1);
      const entropy = tf.neg(tf.mul(smooth, tf.log(p)));
      const weights = tf.mul(tf.pow(tf.sub(1, p), gamma), alpha as tf.TensorLike);
      return tf.sum(tf.mul(weights, entropy), axis);
    },
  },
  binary_focal_crossentropy: {
    className: "BinaryFocalCrossentropy",
    kind: "labels",
    defaults: {
      apply_class_balancing: false,
      alpha: 0.25,
      gamma: 2,
      from_logits: false,
      label_smoothing: 0,
      axis: -1,
    },
    create: (settings) => (targets, output) => {
      const { alpha, gamma } = settings as { alpha: number; gamma: number };
      const truth = smoothed(targets, settings, 2);
      const given = activated(output);
      const p = settings["from_logits"] === true ? tf.sigmoid(given) : given;
      const likely = tf.add(tf.mul(truth, p), tf.mul(tf.sub(1, truth), tf.sub(1, p)));
      const focal = tf.mul(tf.pow(tf.sub(1, likely), gamma), focalEntropy(truth, output, settings));
      const axis = axisIn(settings, focal.rank);
      if (settings["apply_class_balancing"] !== true) return tf.mean(focal, axis);
      const balance = tf.add(tf.mul(truth, alpha), tf.mul(tf.sub(1, truth), 1 - alpha));
      return tf.mean(tf.mul(balance, focal), axis);
    },
  },
  categorical_generalized_cross_entropy: {
    className: "CategoricalGeneralizedCrossEntropy",
    kind: "classes",
    targets: "indices",
    defaults: { q: 0.5 },
    create: (settings) => {
      const q = settings["q"] as number;
      if (!(q > 0 && q < 1)) {
        throw new UsageError(
          `loss categorical_generalized_cross_entropy: q: expected a number between 0 and 1, got ${q}.`,
          "loss-setting",
        );
      }
      return (targets, output) => {
        const given = activated(output);
        const p = tf.sum(tf.mul(given, oneHot(targets, given.shape.at(-1) ?? 1)), -1);
        return tf.div(tf.sub(1, tf.pow(p, q)), q);
      };
    },
  },
};

function axisIn(settings: LossSettings, rank: number): number {
  return axisOf(settings["axis"] as number, rank);
}

function requireLastAxis(name: string, settings: LossSettings): void {
  if (settings["axis"] === -1) return;
  throw new UsageError(
    `loss ${name}: axis: expected -1, got ${JSON.stringify(settings["axis"])}.`,
    "loss-setting",
  );
}

/** Returns the targets drawn toward `classes` equal shares. */
function smoothed(targets: tf.Tensor, settings: LossSettings, classes: number): tf.Tensor {
  const smoothing = settings["label_smoothing"] as number;
  return smoothing > 0 ? tf.add(tf.mul(targets, 1 - smoothing), smoothing / classes) : targets;
}

/** Returns the output's own values if they are the logits of a cross-entropy over the last axis, else null. */
function plainLogits(
  output: Output,
  expected: "softmax" | "sigmoid",
  settings: LossSettings,
): tf.Tensor | null {
  const { values } = output;
  const isLast = axisIn(settings, values.rank) === values.rank - 1;
  return isLast && logitsOf(output, expected, settings["from_logits"] === true) === values ? values : null;
}

/** Returns the cross-entropy of a softmax with its gradient. */
function sloped(truth: tf.Tensor, logits: tf.Tensor): SlopedValues {
  const classes = logits.shape.at(-1) ?? 1;
  const { losses, slopes } = softmaxCrossentropyWithSlopes(
    tf.reshape(truth, [-1, classes]),
    tf.reshape(logits, [-1, classes]),
  );
  return {
    values: tf.reshape(losses, logits.shape.slice(0, -1)),
    slopes: tf.reshape(slopes, logits.shape),
    factor: 1,
  };
}

function categoricalCrossentropy(truth: tf.Tensor, output: Output, settings: LossSettings): tf.Tensor {
  const axis = axisIn(settings, truth.rank);
  const logits = logitsOf(output, "softmax", settings["from_logits"] === true);
  if (logits) return softmaxCrossentropy(truth, logits, axis);
  const given = activated(output);
  const shares = clipped(tf.div(given, tf.sum(given, axis, true)));
  return tf.neg(tf.sum(tf.mul(truth, tf.log(shares)), axis));
}

/**
 * Returns the cross-entropy as `tf.nn.softmax_cross_entropy_with_logits` computes it: the gradient of the logits is softmax less
 * target, also where a target does not add up to 1.
 */
function softmaxCrossentropy(truth: tf.Tensor, logits: tf.Tensor, axis: number): tf.Tensor {
  const shifted = tf.sub(logits, stopGradient(tf.max(logits, axis, true)));
  const total = tf.log(tf.sum(tf.exp(shifted), axis));
  const fixed = stopGradient(total);
  const whole = tf.add(tf.mul(tf.sum(truth, axis), fixed), tf.sub(total, fixed));
  return tf.sub(whole, tf.sum(tf.mul(truth, shifted), axis));
}

function sparseCrossentropy(
  targets: tf.Tensor,
  output: Output,
  settings: LossSettings,
): ReturnType<ReturnType<LossDefinition["create"]>> {
  const { values } = output;
  const indices = indicesOf(targets, values);
  const ignored = settings["ignore_class"] as number | null;
  const counts = ignored === null ? null : tf.notEqual(indices, ignored);
  const known = counts ? tf.where(counts, indices, tf.zerosLike(indices)) : indices;
  const truth = oneHot(known, values.shape.at(-1) ?? 1);
  const logits = logitsOf(output, "softmax", settings["from_logits"] === true);
  const scores = logits ?? tf.log(clipped(activated(output)));
  const shown = counts ? tf.where(tf.expandDims(counts, -1), scores, tf.zerosLike(scores)) : scores;
  const entropy = tf.neg(tf.sum(tf.mul(truth, logSoftmax(shown)), -1));
  return counts ? { values: tf.where(counts, entropy, tf.zerosLike(entropy)), mask: counts } : entropy;
}

/** Returns class indices without a last axis of size 1. */
function indicesOf(targets: tf.Tensor, { rank }: tf.Tensor): tf.Tensor {
  return targets.rank === rank ? tf.squeeze(targets, [-1]) : targets;
}

function oneHot(indices: tf.Tensor, classes: number): tf.Tensor {
  return tf.cast(tf.oneHot(tf.cast(indices, "int32"), classes), "float32");
}

/** Returns the cross-entropy of each unit. */
function binaryCrossentropy(truth: tf.Tensor, output: Output, settings: LossSettings): tf.Tensor {
  const logits = logitsOf(output, "sigmoid", settings["from_logits"] === true);
  return logits ? sigmoidCrossentropy(truth, logits) : entropyOf(truth, activated(output));
}

function entropyOf(truth: tf.Tensor, shares: tf.Tensor): tf.Tensor {
  const p = clipped(shares);
  return tf.neg(tf.add(tf.mul(truth, tf.log(p)), tf.mul(tf.sub(1, truth), tf.log(tf.sub(1, p)))));
}

/** Keras applies the sigmoid first and takes its logits back, so those of a softmax or a sigmoid do not count as logits here. */
function focalEntropy(truth: tf.Tensor, output: Output, settings: LossSettings): tf.Tensor {
  if (settings["from_logits"] === true) return sigmoidCrossentropy(truth, activated(output));
  return binaryCrossentropy(truth, output, settings);
}

/** As `tf.nn.sigmoid_cross_entropy_with_logits`; softplus has the right gradient at a logit of exactly 0. */
function sigmoidCrossentropy(truth: tf.Tensor, logits: tf.Tensor): tf.Tensor {
  return tf.sub(tf.softplus(logits), tf.mul(logits, truth));
}
