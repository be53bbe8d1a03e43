/** Keras's losses between values (`keras/src/losses/losses.py`). */
import { tf } from "../../engine/tf.ts";
import { axisOf } from "../../layers/axes.ts";
import { sameShape } from "../../tensor.ts";
import type { LossDefinition } from "./loss-definition.ts";
import type { Output } from "./output.ts";
import { activated, epsilon } from "./output.ts";

export const distances: Readonly<Record<string, LossDefinition>> = {
  mean_squared_error: {
    className: "MeanSquaredError",
    kind: "values",
    aliases: ["mse"],
    create: () => (targets, output) => tf.mean(tf.square(tf.sub(activated(output), targets)), -1),
    sloped: () => (targets, output) => {
      const { values, activation } = output;
      if (activation !== "none" || !sameShape(values.shape, targets.shape)) return null;
      const error = tf.sub(values, targets);
      return { values: tf.mean(tf.square(error), -1), slopes: error, factor: 2 / (values.shape.at(-1) ?? 1) };
    },
  },
  mean_absolute_percentage_error: {
    className: "MeanAbsolutePercentageError",
    kind: "values",
    aliases: ["mape"],
    create: () => (targets, output) => {
      const scale = tf.maximum(tf.abs(targets), epsilon);
      return tf.mul(tf.mean(tf.abs(tf.div(tf.sub(targets, activated(output)), scale)), -1), 100);
    },
  },
  mean_squared_logarithmic_error: {
    className: "MeanSquaredLogarithmicError",
    kind: "values",
    aliases: ["msle"],
    create: () => (targets, output) => {
      const logarithm = (x: tf.Tensor): tf.Tensor => tf.log(tf.add(tf.maximum(x, epsilon), 1));
      return tf.mean(tf.square(tf.sub(logarithm(activated(output)), logarithm(targets))), -1);
    },
  },
  log_cosh: {
    className: "LogCosh",
    aliases: ["logcosh"],
    kind: "values",
    create: () => (targets, output) => {
      const error = tf.sub(activated(output), targets);
      return tf.mean(tf.sub(tf.add(error, tf.softplus(tf.mul(error, -2))), Math.LN2), -1);
    },
  },
  cosine_similarity: {
    className: "CosineSimilarity",
    aliases: ["cosine_proximity", "cosine"],
    kind: "values",
    defaults: { axis: -1 },
    create: (settings) => (targets, output) => {
      const axis = axisOf(settings["axis"] as number, targets.rank);
      return tf.neg(tf.sum(tf.mul(ofLengthOne(targets, axis), ofLengthOne(activated(output), axis)), axis));
    },
  },
  hinge: {
    className: "Hinge",
    kind: "any",
    create: () => (targets, output) => tf.mean(hinges(targets, output), -1),
  },
  squared_hinge: {
    className: "SquaredHinge",
    kind: "any",
    create: () => (targets, output) => tf.mean(tf.square(hinges(targets, output)), -1),
  },
  categorical_hinge: {
    className: "CategoricalHinge",
    kind: "classes",
    create: () => (targets, output) => {
      const scores = activated(output);
      const right = tf.sum(tf.mul(targets, scores), -1);
      const wrong = tf.max(tf.mul(tf.sub(1, targets), scores), -1);
      return tf.relu(tf.add(tf.sub(wrong, right), 1));
    },
  },
  mean_absolute_error: {
    className: "MeanAbsoluteError",
    kind: "values",
    aliases: ["mae"],
    create: () => (targets, output) => tf.mean(tf.abs(tf.sub(activated(output), targets)), -1),
  },
  huber: {
    className: "Huber",
    kind: "values",
    aliases: ["huber_loss"],
    defaults: { delta: 1 },
    create: (settings) => (targets, output) => {
      const delta = settings["delta"] as number;
      const error = tf.abs(tf.sub(activated(output), targets));
      const inner = tf.minimum(error, delta);
      return tf.mean(tf.add(tf.mul(tf.square(inner), 0.5), tf.mul(tf.sub(error, inner), delta)), -1);
    },
  },
  poisson: {
    className: "Poisson",
    kind: "values",
    create: () => (targets, output) => {
      const rate = activated(output);
      return tf.mean(tf.sub(rate, tf.mul(targets, tf.log(tf.add(rate, epsilon)))), -1);
    },
  },
  kl_divergence: {
    className: "KLDivergence",
    kind: "any",
    aliases: ["kld", "kullback_leibler_divergence"],
    create: () => (targets, output) => {
      const truth = tf.clipByValue(targets, epsilon, 1);
      const guess = tf.clipByValue(activated(output), epsilon, 1);
      return tf.sum(tf.mul(truth, tf.log(tf.div(truth, guess))), -1);
    },
  },
};

/** As `keras.ops.normalize`. */
function ofLengthOne(vectors: tf.Tensor, axis: number): tf.Tensor {
  const squares = tf.sum(tf.square(vectors), axis, true);
  return tf.mul(vectors, tf.minimum(tf.rsqrt(squares), 1 / epsilon));
}

/** Returns by how much each value falls short of 1 on its target's side. Targets of 0 and 1 throughout stand for -1 and 1. */
function hinges(targets: tf.Tensor, output: Output): tf.Tensor {
  const binary = tf.all(tf.logicalOr(tf.equal(targets, 0), tf.equal(targets, 1)));
  const signs = tf.where(binary, tf.sub(tf.mul(targets, 2), 1), targets);
  return tf.relu(tf.sub(1, tf.mul(signs, activated(output))));
}
