/** @file Sequences `[T, N, C]` of recurrent kernels. */

import type { Tuple } from "../../tensor.ts";
import { sizeAt } from "../../tensor.ts";
import type { GradientCall, GradientRule, InputRule } from "../gradients/rule.ts";
import { computedOnce, rule } from "../gradients/rule.ts";
import { tf } from "../tf.ts";
import type { Tensors } from "./own-kernel.ts";
import { run } from "./own-kernel.ts";

type TensorOfEach<Items extends readonly unknown[]> = { readonly [Index in keyof Items]: tf.Tensor };

/** The values from which the gradients of a kernel over a sequence are computed. */
export interface SequenceCall<Input extends string, Outputs extends number> {
  readonly inputs: Tensors<Input>;
  readonly outputs: Tuple<tf.Tensor, Outputs>;
  /** The gradient of each output, zeros if there is none. */
  readonly dys: Tuple<tf.Tensor, Outputs>;
}

/**
 * Creates the rule of a kernel that computes the gradients of all `inputs` together, from all its inputs and outputs.
 * @param gradients Returns the gradients in the order of `inputs`.
 */
export function sequenceRule<const Inputs extends readonly string[], Outputs extends number>(
  kernel: string,
  inputs: Inputs,
  outputCount: Outputs,
  gradients: (call: SequenceCall<Inputs[number], Outputs>) => TensorOfEach<Inputs>,
): GradientRule {
  const outputs = Array.from({ length: outputCount }, (_, index) => (index === 0 ? "y" : `y${index}`));
  const reads = [...inputs, ...outputs];
  const all = (call: GradientCall<object>): readonly tf.Tensor[] =>
    computedOnce<readonly tf.Tensor[]>(call, "gradients", () =>
      gradients({
        inputs: Object.fromEntries(inputs.map((name) => [name, call.the(name)])) as Tensors<Inputs[number]>,
        outputs: outputs.map(call.the) as unknown as Tuple<tf.Tensor, Outputs>,
        dys: outputs.map(
          (name, index) => call.dys[index] ?? tf.zeros(call.the(name).shape),
        ) as unknown as Tuple<tf.Tensor, Outputs>,
      }),
    );
  const ruleOf = (index: number): InputRule<object> => ({
    reads,
    of: (call) => all(call)[index] as tf.Tensor,
  });
  return rule(kernel, Object.fromEntries(inputs.map((name, index) => [name, ruleOf(index)])));
}

/** Splits sequences of one length into their steps, each with the step `[N, C]` of every sequence. */
export function steps<const Sequences extends readonly tf.Tensor[]>(
  ...sequences: Sequences
): TensorOfEach<Sequences>[] {
  const split = sequences.map((sequence) => tf.unstack(sequence, 0));
  return (split[0] ?? []).map((_, t) => split.map((all) => all[t]) as unknown as TensorOfEach<Sequences>);
}

/** Stacks the outputs of all steps: one tensor `[T, N, …]` for each output of a step. */
export function stacked(taken: readonly (readonly tf.Tensor[])[]): tf.Tensor[] {
  return (taken[0] ?? []).map((_, index) => tf.stack(taken.map((step) => step[index] as tf.Tensor)));
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
