/**
 * @file A GRU over a whole sequence, with the reset gate after the product. The matrix products of its gradient are
 * computed after the loop, for all steps at once.
 */
import type { Tuple } from "../../tensor.ts";
import { sizeAt } from "../../tensor.ts";
import { tf } from "../tf.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { run } from "./own-kernel.ts";
import type { SequenceCall } from "./sequence.ts";
import { before, rows, sequenceRule, stacked, steps } from "./sequence.ts";

type Inputs = Tensors<"x" | "h" | "kernel" | "bias">;

/** The outputs of GruSequence. The first is h of every step. */
export type GruOutputs = Tuple<tf.Tensor, 5>;

/**
 * Computes five outputs `[T, N, U]`: h, the two gates, the candidate, and the product that the reset gate is applied
 * to. The inputs are `x` `[T, N, 3 U]`, the inputs' part of update gate, reset gate and candidate, `h` `[N, U]`,
 * `kernel` `[U, 3 U]` and `bias` `[3 U]`.
 */
export const gruKernels: readonly OwnKernel[] = [
  {
    name: "GruSequence",
    native: (_backend, tensors: Inputs) => sequence(tensors),
    portable: sequence,
    gradient: sequenceRule("GruSequence", ["x", "h", "kernel", "bias"], 5, gradients),
  },
];

function sequence({ x, h, kernel, bias }: Inputs): GruOutputs {
  const units = sizeAt(h.shape, 1);
  const [gateInputs, candidateInputs] = tf.split(x, [2 * units, units], 2) as [tf.Tensor, tf.Tensor];
  const taken: tf.Tensor[][] = [];
  for (const [gateInput, candidateInput] of steps(gateInputs, candidateInputs)) {
    const last = taken.at(-1)?.[0] ?? h;
    taken.push(
      tf.tidy(() => {
        const product = tf.matMul(last as tf.Tensor2D, kernel as tf.Tensor2D);
        const inner = run<tf.Tensor>("BiasAdd", { x: product, bias });
        const [gates, reset] = tf.split(inner, [2 * units, units], 1) as [tf.Tensor, tf.Tensor];
        const [z, r] = tf.split(tf.sigmoid(tf.add(gateInput, gates)), 2, 1) as [tf.Tensor, tf.Tensor];
        const candidate = tf.tanh(tf.add(candidateInput, tf.mul(r, reset)));
        const next = tf.add(candidate, tf.mul(z, tf.sub(last, candidate)));
        return [next, z, r, candidate, reset];
      }),
    );
  }
  return stacked(taken) as unknown as GruOutputs;
}

/**
 * Computes the gradients of all inputs. A step is linear in the gradient of its h, so its factors are computed for all
 * steps at once.
 */
function gradients(call: SequenceCall<keyof Inputs, 5>): Tuple<tf.Tensor, 4> {
  const {
    inputs: { x, h, kernel },
    outputs: [hs, z, r, candidate, reset],
    dys: [dh],
  } = call;
  const previous = before(hs, h);
  const byUpdate = tf.mul(tf.sub(previous, candidate), tf.mul(z, tf.sub(1, z)));
  const byCandidate = tf.mul(tf.sub(1, z), tf.sub(1, tf.square(candidate)));
  const afterReset = tf.mul(byCandidate, r);
  const byReset = tf.mul(tf.mul(afterReset, tf.sub(1, r)), reset);
  const inner = tf.concat([byUpdate, byReset, afterReset], 2);
  const dInner: tf.Tensor[] = [];
  const arrived: tf.Tensor[] = [];
  let returned: tf.Tensor = tf.zerosLike(h);
  for (const [dhStep, innerStep, update] of steps(dh, inner, z).reverse()) {
    const [here, product, next] = tf.tidy(() => {
      const gradient = tf.add(dhStep, returned);
      const multiplied = tf.mul(tf.tile(gradient, [1, 3]), innerStep) as tf.Tensor2D;
      const through = tf.matMul(multiplied, kernel as tf.Tensor2D, false, true);
      return [gradient, multiplied, tf.add(through, tf.mul(gradient, update))];
    }) as [tf.Tensor, tf.Tensor, tf.Tensor];
    arrived.unshift(here);
    dInner.unshift(product);
    returned = next;
  }
  const all = tf.concat(dInner, 0) as tf.Tensor2D;
  const byInput = tf.concat([byUpdate, byReset, byCandidate], 2);
  const dx = tf.mul(tf.tile(tf.stack(arrived), [1, 1, 3]), byInput);
  return [
    tf.reshape(dx, x.shape),
    returned,
    tf.matMul(rows(previous), all, true),
    run("BiasAddGrad", { dy: all }),
  ];
}
