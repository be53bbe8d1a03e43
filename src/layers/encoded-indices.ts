/** Whole numbers as they are, or as rows of zeros and ones of them (`keras/src/utils/numerical_utils.py`). */
import type { JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { outputMode } from "../topology/specs/encoded-indices.ts";
import type { KernelArgument } from "./kernel.ts";

/** Indices as they are, or as rows of `depth`. What is not below it counts nowhere. */
export function encoded(
  indices: tf.Tensor,
  config: JsonObject,
  depth: number,
  weights?: KernelArgument,
): tf.Tensor {
  const whole = tf.cast(indices, "int32");
  const mode = outputMode(config);
  if (mode === "int") return whole;
  const shrunk = mode === "one_hot" && whole.rank > 1 && whole.shape.at(-1) === 1;
  const places = shrunk ? tf.squeeze(whole, [-1]) : whole;
  const hot = tf.cast(tf.equal(tf.expandDims(places, -1), tf.range(0, depth, 1, "int32")), "float32");
  if (mode === "one_hot") return hot;
  const axis = Math.min(1, whole.rank - 1);
  if (mode === "multi_hot") return tf.max(hot, axis);
  return tf.sum(weights instanceof tf.Tensor ? tf.mul(hot, tf.expandDims(weights, -1)) : hot, axis);
}

/** Whole numbers in the shape of `x`. Outside the tape: no gradient flows through them. */
export function indicesLike(x: tf.Tensor, indices: readonly number[]): tf.Tensor {
  return tf.tensor(Int32Array.from(indices), x.shape, "int32");
}
