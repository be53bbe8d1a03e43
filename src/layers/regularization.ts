/** Layers that act in training only (`keras/src/layers/regularization`); else they pass their input on. */
import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { numberIn } from "./config.ts";
import { identity } from "./core.ts";
import type { Kernel, KernelCall } from "./kernel.ts";

export const regularizationKernels: Readonly<Record<string, Kernel>> = {
  Dropout: inTraining((x, config, seed) => dropped(x, numberIn(config, "rate"), seed, noiseShape(x, config))),
  ActivityRegularization: identity,
};

type Disturbance = (x: tf.Tensor, config: JsonObject, seed: number) => tf.Tensor;

function inTraining(disturb: Disturbance): Kernel {
  return ({ inputs, config, context }: KernelCall) =>
    context.training ? disturb(inputs[0]!, config, context.random.nextSeed()) : inputs[0]!;
}

/** Each kept with probability `1 - rate` and divided by it; `shape` may have 1 where all share one draw. */
function dropped(x: tf.Tensor, rate: number, seed: number, shape: readonly number[]): tf.Tensor {
  if (rate === 0) return x;
  const kept = tf.greaterEqual(tf.randomUniform([...shape], 0, 1, "float32", seed), rate);
  return tf.mul(x, tf.div(tf.cast(kept, "float32"), 1 - rate));
}

/** The config's `noise_shape`, null in it being the input's own size. */
function noiseShape(x: tf.Tensor, config: JsonObject): readonly number[] {
  const shape = config["noise_shape"];
  if (!Array.isArray(shape)) return x.shape;
  return shape.map((size, axis) => (typeof size === "number" ? size : x.shape[axis]!));
}
