/** @file Sequences `[T, N, C]` of recurrent kernels. */

import { sizeAt } from "../../tensor.ts";
import type { GradientCall, GradientRule } from "../gradients/rule.ts";
import { computedOnce, rule } from "../gradients/rule.ts";
import { tf } from "../tf.ts";
import type { Tensors } from "./own-kernel.ts";
import { run } from "./own-kernel.ts";

/** The values from which the gradients of a kernel over a sequence are computed. */
export interface SequenceCall {
  readonly inputs: Tensors;
  readonly outputs: readonly tf.Tensor[];
  /** The gradient of each output, zeros if there is none. */
  readonly dys: readonly tf.Tensor[];
}

/**
 * Creates the rule of a kernel that computes the gradients of all `inputs` together, from all its inputs and outputs.
 */
export function sequenceRule(
  kernel: string,
  inputs: readonly string[],
  outputCount: number,
  gradients: (call: SequenceCall) => tf.Tensor[],
): GradientRule {
  const outputs = Array.from({ length: outputCount }, (_, index) => (index === 0 ? "y" : `y${index}`));
  const reads = [...inputs, ...outputs];
  const all = (call: GradientCall<object>): tf.Tensor[] =>
    computedOnce(call, "gradients", () =>
      gradients({
        inputs: Object.fromEntries(inputs.map((name) => [name, call.the(name)])),
        outputs: outputs.map(call.the),
        dys: outputs.map((name, index) => call.dys[index] ?? tf.zeros(call.the(name).shape)),
      }),
    );
  return rule(
    kernel,
    Object.fromEntries(
      inputs.map((name, index) => [name, { reads, of: (call: GradientCall<object>) => all(call)[index]! }]),
    ),
  );
}

/** Splits a sequence into its steps, each `[N, C]`. */
export function steps(sequence: tf.Tensor): tf.Tensor[] {
  return tf.unstack(sequence, 0);
}

/** Stacks the outputs of all steps: one tensor `[T, N, …]` for each output of a step. */
export function stacked(taken: readonly (readonly tf.Tensor[])[]): tf.Tensor[] {
  return taken[0]!.map((_, index) => tf.stack(taken.map((step) => step[index]!)));
}

/** Reshapes a sequence to `[T * N, C]`. */
export function rows(sequence: tf.Tensor): tf.Tensor2D {
  return tf.reshape(sequence, [-1, sizeAt(sequence.shape, 2)]);
}

/** Returns the state before each step: the start, then every state but the last. */
export function before(sequence: tf.Tensor, start: tf.Tensor): tf.Tensor {
  const [time, batch, units] = sequence.shape as [number, number, number];
  const others = tf.slice(sequence, [0, 0, 0], [time - 1, batch, units]);
  return tf.concat([tf.expandDims(start, 0), others], 0);
}

/** Multiplies all steps by a kernel `[C, K]` in one product and adds a bias `[K]`. */
export function projected(sequence: tf.Tensor, kernel: tf.Tensor2D, bias: tf.Tensor): tf.Tensor {
  const product = run<tf.Tensor>("BiasAdd", { x: tf.matMul(rows(sequence), kernel), bias });
  return tf.reshape(product, [sizeAt(sequence.shape, 0), sizeAt(sequence.shape, 1), sizeAt(bias.shape, 0)]);
}
