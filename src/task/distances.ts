/** Keras's losses between values (`keras/src/losses/losses.py`). */
import { tf } from "../engine/tf.ts";
import type { LossDefinition } from "./loss-definition.ts";
import { epsilon } from "./loss-definition.ts";
import type { Output } from "./model-output.ts";
import { activated } from "./model-output.ts";

export const distances: Readonly<Record<string, LossDefinition>> = {
  mean_squared_error: {
    className: "MeanSquaredError",
    aliases: ["mse"],
    perSample: () => (targets, output) => tf.mean(tf.square(tf.sub(activated(output), targets)), -1),
  },
  mean_absolute_percentage_error: {
    className: "MeanAbsolutePercentageError",
    aliases: ["mape"],
    perSample: () => (targets, output) => {
      const scale = tf.maximum(tf.abs(targets), epsilon);
      return tf.mul(tf.mean(tf.abs(tf.div(tf.sub(targets, activated(output)), scale)), -1), 100);
    },
  },
  mean_squared_logarithmic_error: {
    className: "MeanSquaredLogarithmicError",
    aliases: ["msle"],
    perSample: () => (targets, output) => {
      const logarithm = (x: tf.Tensor): tf.Tensor => tf.log(tf.add(tf.maximum(x, epsilon), 1));
      return tf.mean(tf.square(tf.sub(logarithm(activated(output)), logarithm(targets))), -1);
    },
  },
  log_cosh: {
    className: "LogCosh",
    perSample: () => (targets, output) => {
      const error = tf.sub(activated(output), targets);
      return tf.mean(tf.sub(tf.add(error, tf.softplus(tf.mul(error, -2))), Math.LN2), -1);
    },
  },
  cosine_similarity: {
    className: "CosineSimilarity",
    defaults: { axis: -1 },
    perSample: () => (targets, output) =>
      tf.neg(tf.sum(tf.mul(ofLengthOne(targets), ofLengthOne(activated(output))), -1)),
  },
  hinge: {
    className: "Hinge",
    perSample: () => (targets, output) => tf.mean(hinges(targets, output), -1),
  },
  squared_hinge: {
    className: "SquaredHinge",
    perSample: () => (targets, output) => tf.mean(tf.square(hinges(targets, output)), -1),
  },
  categorical_hinge: {
    className: "CategoricalHinge",
    perSample: () => (targets, output) => {
      const scores = activated(output);
      const right = tf.sum(tf.mul(targets, scores), -1);
      const wrong = tf.max(tf.mul(tf.sub(1, targets), scores), -1);
      return tf.relu(tf.add(tf.sub(wrong, right), 1));
    },
  },
  mean_absolute_error: {
    className: "MeanAbsoluteError",
    aliases: ["mae"],
    perSample: () => (targets, output) => tf.mean(tf.abs(tf.sub(activated(output), targets)), -1),
  },
  huber: {
    className: "Huber",
    aliases: ["huber_loss"],
    defaults: { delta: 1 },
    perSample: (settings) => (targets, output) => {
      const delta = settings["delta"] as number;
      const error = tf.abs(tf.sub(activated(output), targets));
      const inner = tf.minimum(error, delta);
      return tf.mean(tf.add(tf.mul(tf.square(inner), 0.5), tf.mul(tf.sub(error, inner), delta)), -1);
    },
  },
  poisson: {
    className: "Poisson",
    perSample: () => (targets, output) => {
      const rate = activated(output);
      return tf.mean(tf.sub(rate, tf.mul(targets, tf.log(tf.add(rate, epsilon)))), -1);
    },
  },
  kl_divergence: {
    className: "KLDivergence",
    aliases: ["kld", "kullback_leibler_divergence"],
    perSample: () => (targets, output) => {
      const truth = tf.clipByValue(targets, epsilon, 1);
      const guess = tf.clipByValue(activated(output), epsilon, 1);
      return tf.sum(tf.mul(truth, tf.log(tf.div(truth, guess))), -1);
    },
  },
};

/** As `keras.ops.normalize` along the last axis. */
function ofLengthOne(vectors: tf.Tensor): tf.Tensor {
  const squares = tf.sum(tf.square(vectors), -1, true);
  return tf.mul(vectors, tf.minimum(tf.rsqrt(squares), 1 / epsilon));
}

/** By how much each value falls short of 1 on its target's side; targets of 0 and 1 throughout stand for -1 and 1. */
function hinges(targets: tf.Tensor, output: Output): tf.Tensor {
  const binary = tf.all(tf.logicalOr(tf.equal(targets, 0), tf.equal(targets, 1)));
  const signs = tf.where(binary, tf.sub(tf.mul(targets, 2), 1), targets);
  return tf.relu(tf.sub(1, tf.mul(signs, activated(output))));
}
