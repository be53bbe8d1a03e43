/** Sequences `[T, N, C]` of recurrent kernels. */
import type { GradientCall, GradientRule } from "../gradients/rule.ts";
import { computedOnce, rule } from "../gradients/rule.ts";
import { tf } from "../tf.ts";
import type { Tensors } from "./own-kernel.ts";
import { run } from "./own-kernel.ts";

/** What the gradients of a kernel over a sequence are computed from. */
export interface SequenceCall {
  readonly inputs: Tensors;
  readonly outputs: readonly tf.Tensor[];
  /** Of each output, zeros where none came. */
  readonly dys: readonly tf.Tensor[];
}

/** The rule of a kernel whose gradients of all `inputs` are computed in one go from all it read and gave. */
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

/** Its steps, `[N, C]` each. */
export function steps(sequence: tf.Tensor): tf.Tensor[] {
  return tf.unstack(sequence, 0);
}

/** Each of what every step gave, of all steps: `[T, N, …]`. */
export function stacked(taken: readonly (readonly tf.Tensor[])[]): tf.Tensor[] {
  return taken[0]!.map((_, index) => tf.stack(taken.map((step) => step[index]!)));
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
