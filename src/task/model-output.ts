import { tf } from "../engine/tf.ts";

/** What the model's last activation is, if the loss is computed from what enters it. */
export type OutputActivation = "softmax" | "sigmoid" | "none";

/** The model's output before its last activation where that is softmax or sigmoid, else the output itself. */
export interface Output {
  readonly values: tf.Tensor;
  readonly activation: OutputActivation;
}

/** The model's output as it leaves the model. */
export function activated({ values, activation }: Output): tf.Tensor {
  if (activation === "softmax") return tf.softmax(values);
  return activation === "sigmoid" ? tf.sigmoid(values) : values;
}
