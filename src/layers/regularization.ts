/** @file Layers that act in training only (`keras/src/layers/regularization`) and otherwise return their input. */
import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import type { RandomStream } from "../random.ts";
import { sizeAt } from "../tensor.ts";
import { numberAt } from "../topology/config-values.ts";
import { isChannelsFirst } from "./axes.ts";
import { identity } from "./core.ts";
import type { Draw } from "./drawn.ts";
import { drawn } from "./drawn.ts";
import type { Kernel } from "./kernel.ts";
import { firstInput } from "./kernel.ts";

type Disturbance = (x: tf.Tensor, config: JsonObject, random: RandomStream) => tf.Tensor;

export const regularizationKernels: Readonly<Record<string, Kernel>> = {
  Dropout: inTraining((x, config, random) => dropout(x, config, random, noiseShape(x, config))),
  SpatialDropout1D: inTraining(spatialDropout),
  SpatialDropout2D: inTraining(spatialDropout),
  SpatialDropout3D: inTraining(spatialDropout),
  GaussianNoise: inTraining((x, config, random) =>
    tf.add(x, normal(x.shape, 0, numberAt(config, "stddev"), random)),
  ),
  GaussianDropout: inTraining((x, config, random) => {
    const rate = numberAt(config, "rate");
    return tf.mul(x, normal(x.shape, 1, Math.sqrt(rate / (1 - rate)), random));
  }),
  AlphaDropout: inTraining(alphaDropout),
  StochasticDepth: inTraining(stochasticDepth),
  ActivityRegularization: identity,
  "training>ActivityPenalty": ({ inputs, config }) =>
    inputs.map((x) => activityPenalty(x, config)).reduce((sum, each) => tf.add(sum, each)),
};

/** Creates a kernel that changes its input in training, with other random numbers at each call. */
export function inTraining(disturb: Disturbance): Kernel {
  return ({ inputs, config, context }) =>
    context.training ? disturb(firstInput(inputs), config, context.random) : firstInput(inputs);
}

/** Draws 1 with probability `1 - rate`, else 0. */
export function keptMask(shape: readonly number[], rate: number, random: RandomStream): tf.Tensor {
  return keptBy(drawn(random, uniform(shape)), rate);
}

/** Returns the draw of numbers between 0 and 1 that are kept or dropped by. */
export function uniform(shape: readonly number[]): Draw {
  return (seed) => tf.randomUniform([...shape], 0, 1, "float32", seed);
}

/** Returns 1 where a number between 0 and 1 keeps what it was drawn for at this rate, else 0. */
export function keptBy(uniforms: tf.Tensor, rate: number): tf.Tensor {
  return tf.cast(tf.greaterEqual(uniforms, rate), "float32");
}

function normal(shape: number[], mean: number, deviation: number, random: RandomStream): tf.Tensor {
  return drawn(random, (seed) => tf.randomNormal(shape, mean, deviation, "float32", seed));
}

/**
 * Computes `l1 * sum(|x|) + l2 * sum(x²)` of each sample, `[N, 1]`. The gradient of `|x|` at 0 is 0, as in TensorFlow.
 */
function activityPenalty(x: tf.Tensor, config: JsonObject): tf.Tensor {
  const samples = tf.reshape(x, [sizeAt(x.shape, 0), -1]);
  const absolute = tf.mul(samples, tf.sign(samples));
  const each = tf.add(
    tf.mul(absolute, numberAt(config, "l1")),
    tf.mul(tf.square(samples), numberAt(config, "l2")),
  );
  return tf.sum(each, 1, true);
}

/**
 * Keeps each value with probability `1 - rate` and divides it by that. Values along axes of size 1 in `shape` share one
 * draw.
 */
function dropout(
  x: tf.Tensor,
  config: JsonObject,
  random: RandomStream,
  shape: readonly number[],
): tf.Tensor {
  const rate = numberAt(config, "rate");
  if (rate === 0) return x;
  if (rate === 1) return tf.zerosLike(x);
  return tf.mul(x, tf.div(keptMask(shape, rate, random), 1 - rate));
}

function spatialDropout(x: tf.Tensor, config: JsonObject, random: RandomStream): tf.Tensor {
  const channels = isChannelsFirst(config) ? 1 : x.rank - 1;
  const shape = x.shape.map((size, axis) => (axis === 0 || axis === channels ? size : 1));
  return dropout(x, config, random, shape);
}

/** Replaces dropped values by SELU's saturation value, and rescales to keep mean and variance. */
function alphaDropout(x: tf.Tensor, config: JsonObject, random: RandomStream): tf.Tensor {
  const rate = numberAt(config, "rate");
  if (rate === 0) return x;
  const saturation = -1.6732632423543772 * 1.0507009873554805;
  const scale = ((1 - rate) * (1 + rate * saturation ** 2)) ** -0.5;
  const kept = keptMask(noiseShape(x, config), rate, random);
  const replaced = tf.add(tf.mul(x, kept), tf.mul(tf.sub(1, kept), saturation));
  return tf.add(tf.mul(replaced, scale), -scale * saturation * rate);
}

/** Returns the config's `noise_shape`, in which null stands for the input's own size. */
function noiseShape(x: tf.Tensor, config: JsonObject): readonly number[] {
  const shape = config["noise_shape"];
  if (!Array.isArray(shape)) return x.shape;
  return shape.map((size, axis) => (typeof size === "number" ? size : sizeAt(x.shape, axis)));
}

/** Drops whole samples: a layer of ConvNeXt (`keras/src/applications/convnext.py`). */
function stochasticDepth(x: tf.Tensor, config: JsonObject, random: RandomStream): tf.Tensor {
  const rate = numberAt(config, "drop_path_rate");
  const kept = keptMask([sizeAt(x.shape, 0), ...x.shape.slice(1).map(() => 1)], rate, random);
  return tf.mul(x, tf.div(kept, 1 - rate));
}
