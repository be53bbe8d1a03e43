/** Keras's losses (`keras/src/losses/losses.py`, `keras/src/backend/tensorflow/nn.py`), one value a sample before the mean. */
import type { Json, JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { UsageError } from "../errors.ts";

/** What the model's last activation is, if the loss is computed from what enters it. */
export type OutputActivation = "softmax" | "sigmoid" | "none";

/** The model's output before its last activation where that is softmax or sigmoid, else the output itself. */
export interface Output {
  readonly values: tf.Tensor;
  readonly activation: OutputActivation;
}

export interface Loss {
  /** Keras's function name. */
  readonly name: string;
  /** How targets are given: class indices `[N]`, or values of the output's shape. */
  readonly targets: "indices" | "values";
  /** `[N]` (or `[N, …]` for outputs of higher rank): differentiable in `output.values`. */
  readonly perSample: (targets: tf.Tensor, output: Output) => tf.Tensor;
}

/** What a caller may give: a Keras loss name in any spelling, or `{ class_name, config }`. */
export type LossArgument = string | JsonObject;

type Settings = Readonly<Record<string, Json>>;

const epsilon = 1e-7;

interface LossDefinition {
  readonly className: string;
  readonly aliases?: readonly string[];
  readonly targets?: "indices";
  readonly defaults?: Settings;
  readonly perSample: (settings: Settings) => Loss["perSample"];
}

const definitions: Readonly<Record<string, LossDefinition>> = {
  categorical_crossentropy: {
    className: "CategoricalCrossentropy",
    defaults: { from_logits: false, label_smoothing: 0, axis: -1 },
    perSample: (settings) => (targets, output) => {
      const smoothing = settings["label_smoothing"] as number;
      const classes = targets.shape.at(-1)!;
      const smooth = smoothing > 0 ? tf.add(tf.mul(targets, 1 - smoothing), smoothing / classes) : targets;
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
      const smoothing = settings["label_smoothing"] as number;
      const smooth = smoothing > 0 ? tf.add(tf.mul(targets, 1 - smoothing), 0.5 * smoothing) : targets;
      if (givesLogits(output, settings)) return tf.mean(sigmoidCrossentropy(smooth, output.values), -1);
      const p = tf.clipByValue(output.values, epsilon, 1 - epsilon);
      const value = tf.add(tf.mul(smooth, tf.log(p)), tf.mul(tf.sub(1, smooth), tf.log(tf.sub(1, p))));
      return tf.neg(tf.mean(value, -1));
    },
  },
  mean_squared_error: {
    className: "MeanSquaredError",
    aliases: ["mse"],
    perSample: () => (targets, output) => tf.mean(tf.square(tf.sub(activated(output), targets)), -1),
  },
  mean_absolute_error: {
    className: "MeanAbsoluteError",
    aliases: ["mae"],
    perSample: () => (targets, output) => tf.mean(tf.abs(tf.sub(activated(output), targets)), -1),
  },
  huber: {
    className: "Huber",
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
    aliases: ["kld"],
    perSample: () => (targets, output) => {
      const truth = tf.clipByValue(targets, epsilon, 1);
      const guess = tf.clipByValue(activated(output), epsilon, 1);
      return tf.sum(tf.mul(truth, tf.log(tf.div(truth, guess))), -1);
    },
  },
};

export function lossNames(): readonly string[] {
  return Object.keys(definitions);
}

/** @throws {UsageError} for a name or a setting that is not known here. */
export function lossOf(argument: LossArgument): Loss {
  const given = typeof argument === "string" ? argument : String(argument["class_name"]).split(">").at(-1)!;
  const config = typeof argument === "string" ? {} : ((argument["config"] ?? {}) as JsonObject);
  const plain = given.toLowerCase().replaceAll("_", "");
  const found = Object.entries(definitions).find(([name, { className, aliases = [] }]) =>
    [name, className, ...aliases].some((spelling) => spelling.toLowerCase().replaceAll("_", "") === plain),
  );
  if (!found) {
    throw new UsageError(
      `loss "${given}": expected one of ${lossNames().join(", ")}, got an unknown name.`,
      "loss-unknown",
    );
  }
  const [name, definition] = found;
  return {
    name,
    targets: definition.targets ?? "values",
    perSample: definition.perSample(settingsOf(name, definition, config)),
  };
}

function settingsOf(name: string, { defaults = {} }: LossDefinition, config: JsonObject): Settings {
  const settings: Record<string, Json> = { ...defaults };
  for (const [key, value] of Object.entries(config)) {
    if (["name", "dtype", "fn"].includes(key)) continue;
    if (key === "reduction" && (value === "sum_over_batch_size" || value === "auto")) continue;
    if (!(key in settings)) {
      throw new UsageError(
        `loss ${name}: "${key}": expected one of ${Object.keys(settings).join(", ") || "no settings"}, got ${JSON.stringify(value)}.`,
        "loss-setting",
      );
    }
    settings[key] = value;
  }
  if (settings["axis"] !== undefined && settings["axis"] !== -1) {
    throw new UsageError(
      `loss ${name}: axis: expected -1, got ${JSON.stringify(settings["axis"])}.`,
      "loss-setting",
    );
  }
  if (settings["ignore_class"] !== undefined && settings["ignore_class"] !== null) {
    throw new UsageError(
      `loss ${name}: ignore_class: expected null, got ${JSON.stringify(settings["ignore_class"])}.`,
      "loss-setting",
    );
  }
  return settings;
}

/** The model's output as it leaves the model. */
export function activated({ values, activation }: Output): tf.Tensor {
  if (activation === "softmax") return tf.softmax(values);
  return activation === "sigmoid" ? tf.sigmoid(values) : values;
}

/**
 * Whether the values are taken for logits. They are what entered a softmax or a sigmoid whichever of them the loss expects: Keras
 * keeps them with the output and asks no further (`_get_logits` in `keras/src/backend/tensorflow/nn.py`).
 */
function givesLogits({ activation }: Output, settings: Settings): boolean {
  return activation !== "none" || settings["from_logits"] === true;
}

function logProbabilities(output: Output, settings: Settings): tf.Tensor {
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

/** Whether a loss compares classes, so that a head of as many units as classes serves it. @throws {UsageError} */
export function isClassification(argument: LossArgument): boolean {
  return lossOf(argument).name.endsWith("crossentropy");
}
