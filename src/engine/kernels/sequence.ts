/** Sequences `[T, N, C]` of recurrent kernels. */
import { tf } from "../tf.ts";
import { run } from "./own-kernel.ts";

/** Its steps, `[N, C]` each. */
export function steps(sequence: tf.Tensor): tf.Tensor[] {
  return tf.unstack(sequence, 0);
}

/** `[T * N, C]` */
export function rows(sequence: tf.Tensor): tf.Tensor2D {
  return tf.reshape(sequence, [-1, sequence.shape[2]!]);
}

/** What was there before each step: the start, then all but the last. */
export function before(sequence: tf.Tensor, start: tf.Tensor): tf.Tensor {
  const [time, batch, units] = sequence.shape as [number, number, number];
  const others = tf.slice(sequence, [0, 0, 0], [time - 1, batch, units]);
  return tf.concat([tf.expandDims(start, 0), others], 0);
}

/** All steps through a kernel `[C, K]` and a bias `[K]`, as one product. */
export function projected(sequence: tf.Tensor, kernel: tf.Tensor2D, bias: tf.Tensor): tf.Tensor {
  const product = run<tf.Tensor>("BiasAdd", { x: tf.matMul(rows(sequence), kernel), bias });
  return tf.reshape(product, [sequence.shape[0]!, sequence.shape[1]!, bias.shape[0]!]);
}
