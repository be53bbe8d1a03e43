/**
 * @file An LSTM over a whole sequence: TensorFlow's fused kernel, or a loop whose gradient computes its matrix products
 * after the loop, for all steps at once.
 */

import type { Tuple } from "../../tensor.ts";
import { sizeAt } from "../../tensor.ts";
import type { NativeBackend } from "../native-engine.ts";
import { tf } from "../tf.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { attribute, run } from "./own-kernel.ts";
import { before, projected, rows, sequenceRule, stacked, steps } from "./sequence.ts";

const inputNames = ["x", "h", "c", "kernel", "bias"] as const;
const outputNames = ["hs", "cs", "i", "f", "o", "candidate", "tanhC"] as const;

/**
 * The number of weights above which one product for all steps is faster: TensorFlow's kernels read all weights, and add
 * to their gradients, at every step.
 */
const mostWeightsByStep = 2 ** 17;

/** The outputs of LstmSequence, in the order of `outputNames`. */
export type LstmOutputs = Tuple<tf.Tensor, 7>;

type Inputs = Tensors<(typeof inputNames)[number]>;
type GradientInputs = Inputs & Tensors<(typeof outputNames)[number] | "dh" | "dc">;

/**
 * Computes seven outputs `[T, N, U]`: h, c, the three gates, the candidate and the tanh of c. The inputs are `x` `[T,
 * N, I]`, the states `h` and `c` `[N, U]`, `kernel` `[I + U, 4 U]` with the input's rows above the state's, and `bias`
 * `[4 U]`. Gates are in Keras's order: input, forget, candidate, output.
 */
export const lstmKernels: readonly OwnKernel[] = [
  {
    name: "LstmSequence",
    native: (backend, tensors: Inputs) => {
      if (tensors.kernel.size > mostWeightsByStep) return sequenceInLoop(tensors);
      const [i, cs, f, o, candidate, tanhC, hs] = backend.executeMultipleOutputs(
        "BlockLSTMV2",
        [...attributes(backend), attribute.number(backend, "cell_clip", 0)],
        blockInputs(backend, tensors),
        7,
      );
      return [hs, cs, i, f, o, candidate, tanhC];
    },
    portable: sequenceInLoop,
    gradient: sequenceRule("LstmSequence", inputNames, outputNames.length, (call) => {
      const outputs = Object.fromEntries(
        outputNames.map((name, index) => [name, call.outputs[index]]),
      ) as Tensors;
      const [dh, dc] = call.dys;
      return run("LstmSequenceGrad", { ...call.inputs, ...outputs, dh, dc });
    }),
  },
  {
    name: "LstmSequenceGrad",
    native: (backend, tensors: GradientInputs) => {
      const { kernel, hs, cs, i, f, o, candidate, tanhC, dh, dc } = tensors;
      if (kernel.size > mostWeightsByStep) return gradientInLoop(tensors);
      const [dx, dc0, dh0, dKernel, , , , dBias] = backend.executeMultipleOutputs(
        "BlockLSTMGradV2",
        attributes(backend),
        [...blockInputs(backend, tensors), i, cs, f, o, candidate, tanhC, hs, dc, dh],
        8,
      );
      return [dx, dh0, dc0, dKernel, dBias];
    },
    portable: gradientInLoop,
  },
];

/** Returns the inputs of TensorFlow's kernels in their order. None are given for the peepholes. */
function blockInputs(backend: NativeBackend, { x, h, c, kernel, bias }: Inputs): tf.Tensor[] {
  const none = tf.zeros([sizeAt(h.shape, 1)]);
  return [sequenceLength(backend, x), x, c, h, kernel, none, none, none, bias];
}

function attributes(backend: NativeBackend): ReturnType<typeof attribute.float>[] {
  return [attribute.float(backend, "T"), attribute.flag(backend, "use_peephole", false)];
}

/** Returns the number of steps as the int64 scalar that the operation requires, a dtype that tfjs lacks. */
function sequenceLength({ binding, tensorMap }: NativeBackend, { shape }: tf.Tensor): tf.Tensor {
  const scalar = tf.scalar(sizeAt(shape, 0), "int32");
  Object.assign(tensorMap.get(scalar.dataId), {
    dtype: binding.TF_INT64,
    values: new Int32Array(BigInt64Array.of(BigInt(sizeAt(shape, 0))).buffer),
  });
  return scalar;
}

function sequenceInLoop({ x, h, c, kernel, bias }: Inputs): LstmOutputs {
  const [input, recurrent] = kernelParts(x, h, kernel);
  const taken: tf.Tensor[][] = [];
  for (const [step] of steps(projected(x, input, bias))) {
    const [lastH = h, lastC = c] = taken.at(-1) ?? [];
    taken.push(
      tf.tidy(() => {
        const z = tf.add(step, tf.matMul(lastH as tf.Tensor2D, recurrent));
        const [zi, zf, zc, zo] = tf.split(z, 4, 1) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        const [i, f, o, candidate] = [tf.sigmoid(zi), tf.sigmoid(zf), tf.sigmoid(zo), tf.tanh(zc)];
        const nextC = tf.add(tf.mul(f, lastC), tf.mul(i, candidate));
        const tanhC = tf.tanh(nextC);
        return [tf.mul(o, tanhC), nextC, i, f, o, candidate, tanhC];
      }),
    );
  }
  return stacked(taken) as unknown as LstmOutputs;
}

function gradientInLoop(tensors: GradientInputs): Tuple<tf.Tensor, 5> {
  const { x, h, c, kernel, hs, cs, i, f, o, candidate, tanhC, dh, dc } = tensors;
  const [input, recurrent] = kernelParts(x, h, kernel);
  const slope = (gate: tf.Tensor): tf.Tensor => tf.mul(gate, tf.sub(1, gate));
  const tanhSlope = (y: tf.Tensor): tf.Tensor => tf.sub(1, tf.square(y));
  const factors = steps(
    tf.concat(
      [tf.mul(candidate, slope(i)), tf.mul(before(cs, c), slope(f)), tf.mul(i, tanhSlope(candidate))],
      2,
    ),
    tf.mul(tanhC, slope(o)),
    tf.mul(o, tanhSlope(tanhC)),
    f,
    dh,
    dc,
  );
  const dz: tf.Tensor[] = [];
  let carried: tf.Tensor = tf.zerosLike(c);
  let returned: tf.Tensor = tf.zerosLike(h);
  for (const [byCarry, byOutput, carryByOutput, forget, dhStep, dcStep] of factors.reverse()) {
    const [gates, dcLast, dhLast] = tf.tidy(() => {
      const dhHere = tf.add(dhStep, returned);
      const dcHere = tf.addN([dcStep, carried, tf.mul(dhHere, carryByOutput)]);
      const ofCarry = tf.mul(byCarry, tf.tile(dcHere, [1, 3]));
      const here = tf.concat([ofCarry, tf.mul(dhHere, byOutput)], 1) as tf.Tensor2D;
      return [here, tf.mul(dcHere, forget), tf.matMul(here, recurrent, false, true)];
    }) as [tf.Tensor, tf.Tensor, tf.Tensor];
    dz.unshift(gates);
    [carried, returned] = [dcLast, dhLast];
  }
  const all = tf.concat(dz, 0) as tf.Tensor2D;
  const read = rows(tf.concat([x, before(hs, h)], 2));
  return [
    tf.reshape(tf.matMul(all, input, false, true), x.shape),
    returned,
    carried,
    tf.matMul(read, all, true),
    run("BiasAddGrad", { dy: all }),
  ];
}

/** Splits a kernel `[I + U, 4 U]` into the input's rows and the state's. */
function kernelParts(x: tf.Tensor, h: tf.Tensor, kernel: tf.Tensor): [tf.Tensor2D, tf.Tensor2D] {
  return tf.split(kernel, [sizeAt(x.shape, 2), sizeAt(h.shape, 1)], 0) as [tf.Tensor2D, tf.Tensor2D];
}
