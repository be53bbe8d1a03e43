import { tf } from "../engine/tf.ts";
import type { Loss, Output } from "./losses.ts";

/**
 * What Keras's `accuracy` counts for this loss: `[N]` (or `[N, …]`) of 0 and 1, or null for a loss that has none
 * (`keras/src/metrics/accuracy_metrics.py`). Ties go to the first class.
 */
export function correctPredictions(
  loss: Loss,
  targets: tf.Tensor,
  { values, activation }: Output,
): tf.Tensor | null {
  switch (loss.name) {
    case "sparse_categorical_crossentropy": {
      const indices = targets.rank === values.rank ? tf.squeeze(targets, [-1]) : targets;
      return equal(tf.argMax(values, -1), indices);
    }
    case "categorical_crossentropy":
      return equal(tf.argMax(values, -1), tf.argMax(targets, -1));
    case "binary_crossentropy": {
      const threshold = activation === "sigmoid" ? 0 : 0.5;
      return tf.mean(equal(tf.greater(values, threshold), tf.greater(targets, 0.5)), -1);
    }
    default:
      return null;
  }
}

function equal(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.cast(tf.equal(tf.cast(a, "int32"), tf.cast(b, "int32")), "float32");
}
