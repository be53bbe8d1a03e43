/** Preprocessing layers (`keras/src/layers/preprocessing`). */
import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { axisOf, flagIn, numberList } from "./config.ts";
import type { Kernel, KernelCall } from "./kernel.ts";

export const preprocessingKernels: Readonly<Record<string, Kernel>> = {
  Rescaling: ({ inputs, config }) =>
    tf.add(tf.mul(tf.cast(inputs[0]!, "float32"), factor(config, "scale")), factor(config, "offset")),
  Normalization: normalization,
};

function normalization({ inputs, weights, config }: KernelCall): tf.Tensor {
  const x = tf.cast(inputs[0]!, "float32");
  const shape = broadcastShape(x, config);
  const statistic = (name: "mean" | "variance"): tf.Tensor => {
    const given = weights[name] ?? tf.tensor1d([...numberList(config[name])]);
    return tf.reshape(given, given.size === 1 ? x.shape.map(() => 1) : shape);
  };
  const mean = statistic("mean");
  const deviation = tf.maximum(tf.sqrt(statistic("variance")), 1e-7);
  return flagIn(config, "invert") ? tf.add(tf.mul(x, deviation), mean) : tf.div(tf.sub(x, mean), deviation);
}

/** The input's size on the axes that keep their own statistics, 1 elsewhere. */
function broadcastShape(x: tf.Tensor, config: JsonObject): number[] {
  const kept = numberList(config["axis"]).map((axis) => axisOf(axis, x.rank));
  return x.shape.map((size, axis) => (kept.includes(axis) ? size : 1));
}

/** A number, or a list of one a channel. */
function factor(config: JsonObject, name: string): number | tf.Tensor {
  const values = numberList(config[name]);
  return values.length === 1 ? values[0]! : tf.tensor1d([...values]);
}
