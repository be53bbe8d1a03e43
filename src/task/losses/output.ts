import { tf } from "../../engine/tf.ts";

/** Activation that turns an output's values into the model's output, where a loss is computed from what enters it. */
export type OutputActivation = "softmax" | "sigmoid" | "none";

/** One output of a model, before its last activation where that is a softmax or a sigmoid that can be taken off. */
export interface Output {
  readonly values: tf.Tensor;
  /** Turns `values` into the model's output. */
  readonly activation: OutputActivation;
  /**
   * The activation whose logits Keras reads from the output, whatever the loss says of them: it keeps them with what a softmax or
   * a sigmoid gives, until another layer moves the values (`_get_logits` in `keras/src/backend/tensorflow/nn.py`).
   */
  readonly carried: OutputActivation;
}

/** Returns the model's output as it leaves the model. */
export function activated({ values, activation }: Output): tf.Tensor {
  if (activation === "softmax") return tf.softmax(values);
  return activation === "sigmoid" ? tf.sigmoid(values) : values;
}

/**
 * Returns the logits that a cross-entropy of Keras is computed from, or null where it is computed from the output itself.
 *
 * @param expected the activation that the loss undoes.
 */
export function logitsOf(
  output: Output,
  expected: "softmax" | "sigmoid",
  fromLogits: boolean,
): tf.Tensor | null {
  const { values, activation, carried } = output;
  if (carried !== "none") return activation === "none" ? undone(values, carried) : values;
  if (fromLogits) return activated(output);
  return activation === expected ? values : null;
}

/** Keras's `epsilon()`. */
export const epsilon = 1e-7;

/** Returns `shares` within Keras's bounds for a logarithm. */
export function clipped(shares: tf.Tensor): tf.Tensor {
  return tf.clipByValue(shares, epsilon, 1 - epsilon);
}

/** Returns logits of what an activation gave. Those of a softmax are known but for a constant. */
function undone(values: tf.Tensor, activation: "softmax" | "sigmoid"): tf.Tensor {
  const shares = clipped(values);
  const logarithm = tf.log(shares);
  return activation === "softmax" ? logarithm : tf.sub(logarithm, tf.log(tf.sub(1, shares)));
}
