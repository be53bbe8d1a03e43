/** Layers of several inputs (`keras/src/layers/merging`). */
import { add } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { axisOf, numberIn } from "./config.ts";
import type { Kernel } from "./kernel.ts";

type Merge = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

export const mergingKernels: Readonly<Record<string, Kernel>> = {
  Add: merging(add),
  Subtract: merging(tf.sub),
  Multiply: merging(tf.mul),
  Maximum: merging(tf.maximum),
  Minimum: merging(tf.minimum),
  Average: ({ inputs }) => tf.div(inputs.map(rankedLike(inputs)).reduce(add), inputs.length),
  Concatenate: ({ inputs, config }) =>
    tf.concat([...inputs], axisOf(numberIn(config, "axis"), inputs[0]!.rank)),
};

function merging(merge: Merge): Kernel {
  return ({ inputs }) => inputs.map(rankedLike(inputs)).reduce((a, b) => merge(a, b));
}

/** Keras aligns inputs of fewer dimensions by adding them after the batch (`base_merge.py`). */
function rankedLike(inputs: readonly tf.Tensor[]): (x: tf.Tensor) => tf.Tensor {
  const rank = Math.max(...inputs.map((x) => x.rank));
  return (x) => {
    if (x.rank === rank) return x;
    const ones = Array.from({ length: rank - x.rank }, () => 1);
    return tf.reshape(x, [x.shape[0]!, ...ones, ...x.shape.slice(1)]);
  };
}
