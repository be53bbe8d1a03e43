import { tf } from "../engine/tf.ts";
import type { Loss } from "./losses.ts";
import type { Output } from "./model-output.ts";
import { activated } from "./model-output.ts";

/**
 * What Keras's `accuracy` counts: `[N]` (or `[N, …]`) of 0 and 1, or null for a loss that is no cross-entropy. One unit is
 * compared with a half; of several the highest counts, also under a binary cross-entropy (`get_metric` in
 * `keras/src/trainers/compile_utils.py`). Ties go to the first class; saturated sigmoids tie.
 */
export function correctPredictions(loss: Loss, targets: tf.Tensor, output: Output): tf.Tensor | null {
  if (!loss.name.endsWith("crossentropy")) return null;
  const values = activated(output);
  if (loss.targets === "indices") {
    const indices = targets.rank === values.rank ? tf.squeeze(targets, [-1]) : targets;
    return equal(tf.argMax(values, -1), indices);
  }
  if (values.shape.at(-1) === 1) {
    return tf.mean(equal(tf.greater(values, 0.5), tf.greater(targets, 0.5)), -1);
  }
  return equal(tf.argMax(values, -1), tf.argMax(targets, -1));
}

function equal(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return tf.cast(tf.equal(tf.cast(a, "int32"), tf.cast(b, "int32")), "float32");
}
