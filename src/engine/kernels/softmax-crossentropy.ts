/** @file The cross-entropy of a softmax together with its gradient, as TensorFlow computes them. */
import { tf } from "../tf.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { attribute } from "./own-kernel.ts";

/** Returns the losses `[N]` and their gradients by the logits `[N, K]`. */
export const softmaxCrossentropyKernels: readonly OwnKernel[] = [
  {
    name: "SoftmaxCrossentropy",
    native: (backend, { logits, truth }: Tensors<"logits" | "truth">) =>
      backend.executeMultipleOutputs(
        "SoftmaxCrossEntropyWithLogits",
        [attribute.float(backend, "T")],
        [logits, truth],
        2,
      ),
    portable: ({ logits, truth }: Tensors<"logits" | "truth">) => {
      const shifted = tf.sub(logits, tf.max(logits, 1, true));
      const powers = tf.exp(shifted);
      const total = tf.sum(powers, 1, true);
      const losses = tf.sum(tf.mul(truth, tf.sub(tf.log(total), shifted)), 1);
      return [losses, tf.sub(tf.div(powers, total), truth)];
    },
  },
];
