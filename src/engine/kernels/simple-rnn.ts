/**
 * @file A recurrence of one product and tanh over a whole sequence. The product for the kernel's gradient is computed
 * after the loop, for all steps at once.
 */
import type { Tuple } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import type { SequenceCall } from "./sequence.ts";
import { before, rows, sequenceRule, steps } from "./sequence.ts";

/**
 * Computes h of every step, `[T, N, U]`, from `x` `[T, N, U]`, the inputs' part, `h` `[N, U]` and `kernel` `[U, U]`.
 */
export const simpleRnnKernels: readonly OwnKernel[] = [
  {
    name: "SimpleRnnSequence",
    native: (_backend, tensors: Tensors<"x" | "h" | "kernel">) => sequence(tensors),
    portable: sequence,
    gradient: sequenceRule("SimpleRnnSequence", ["x", "h", "kernel"], 1, gradients),
  },
];

function sequence({ x, h, kernel }: Tensors<"x" | "h" | "kernel">): tf.Tensor {
  const taken: tf.Tensor[] = [];
  for (const [step] of steps(x)) {
    const last = (taken.at(-1) ?? h) as tf.Tensor2D;
    taken.push(tf.tidy(() => tf.tanh(tf.add(step, tf.matMul(last, kernel as tf.Tensor2D)))));
  }
  return tf.stack(taken);
}

function gradients(call: SequenceCall<"x" | "h" | "kernel", 1>): Tuple<tf.Tensor, 3> {
  const {
    inputs: { h, kernel },
    outputs: [hs],
    dys: [dh],
  } = call;
  const dz: tf.Tensor[] = [];
  let returned: tf.Tensor = tf.zerosLike(h);
  for (const [slope, arrived] of steps(tf.sub(1, tf.square(hs)), dh).reverse()) {
    const [here, next] = tf.tidy(() => {
      const product = tf.mul(tf.add(arrived, returned), slope) as tf.Tensor2D;
      return [product, tf.matMul(product, kernel as tf.Tensor2D, false, true)];
    }) as [tf.Tensor, tf.Tensor];
    dz.unshift(here);
    returned = next;
  }
  const all = tf.stack(dz);
  return [all, returned, tf.matMul(rows(before(hs, h)), rows(all), true)];
}
