/** @file Layers of several inputs (`keras/src/layers/merging`). */
import { add } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { fusesActivation, runFusedSum } from "../engine/webgpu/fused.ts";
import { sizeAt } from "../tensor.ts";
import { isTrueAt, numberAt, numberList } from "../topology/config-values.ts";
import { activationName } from "./activation-functions.ts";
import { activate } from "./activations.ts";
import { axisOf, product } from "./axes.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { firstInput } from "./kernel.ts";
import { unitLength } from "./normalization.ts";

type Merge = (a: tf.Tensor, b: tf.Tensor) => tf.Tensor;

export const mergingKernels: Readonly<Record<string, Kernel>> = {
  Add: (call) => masked(call, summed(call)),
  Subtract: merging(tf.sub),
  Multiply: merging(tf.mul),
  Maximum: merging(tf.maximum),
  Minimum: merging(tf.minimum),
  Average: (call) => masked(call, tf.div(ranked(call.inputs).reduce(add), call.inputs.length)),
  Concatenate: (call) => {
    const axis = axisOf(numberAt(call.config, "axis"), firstInput(call.inputs).rank);
    return { outputs: [tf.concat([...call.inputs], axis)], masks: [concatenatedMask(call, axis)] };
  },
  Dot: dot,
  CustomScaleLayer: ({ inputs, config }) =>
    add(firstInput(inputs), tf.mul(inputs[1]!, numberAt(config, "scale"))),
};

function merging(merge: Merge): Kernel {
  return (call) =>
    masked(
      call,
      ranked(call.inputs).reduce((a, b) => merge(a, b)),
    );
}

/** Adds the inputs, and applies the activation that a rewrite has put into the layer. */
function summed({ inputs, config, context }: KernelCall): tf.Tensor {
  const terms = ranked(inputs);
  const activation = config["activation"];
  if (activation === undefined) return terms.reduce(add);
  const activated = (sum: tf.Tensor): tf.Tensor => activate(sum, activation, context.keras);
  const name = activationName(activation);
  const last = terms.at(-1);
  if (!last || terms.length < 2 || !fusesActivation(name) || terms.some(({ dtype }) => dtype !== "float32"))
    return activated(terms.reduce(add));
  return runFusedSum(terms.slice(0, -1).reduce(add), last, name, activated);
}

/** Aligns inputs of fewer dimensions by inserting axes of size 1 after the batch, as Keras does (`base_merge.py`). */
function ranked(inputs: readonly tf.Tensor[]): tf.Tensor[] {
  const rank = Math.max(...inputs.map((x) => x.rank));
  return inputs.map((x) => {
    if (x.rank === rank) return x;
    const ones = Array.from({ length: rank - x.rank }, () => 1);
    return tf.reshape(x, [sizeAt(x.shape, 0), ...ones, ...x.shape.slice(1)]);
  });
}

/**
 * Adds the mask of the output: true where any input's mask is, if all inputs have one. Before Keras 3, true where all
 * existing masks are (`compute_mask` of `base_merge.py`).
 */
function masked({ masks, inputs, context }: KernelCall, output: tf.Tensor): KernelResult {
  const known = masks.filter((mask) => mask !== undefined);
  if (context.keras < 3 && known.length > 0) {
    return { outputs: [output], masks: [known.reduce((a, b) => tf.logicalAnd(a, b))] };
  }
  const complete = known.length === inputs.length;
  return { outputs: [output], masks: [complete ? known.reduce((a, b) => tf.logicalOr(a, b)) : undefined] };
}

/** Joins the inputs' masks like the inputs and reduces the last axis by `any`, before Keras 3 by `all`. */
function concatenatedMask({ masks, inputs, context }: KernelCall, axis: number): tf.Tensor | undefined {
  if (masks.every((mask) => mask === undefined)) return undefined;
  const whole = inputs.map((x, index) => {
    const mask = masks[index];
    if (!mask) return tf.cast(tf.onesLike(x), "bool");
    if (mask.rank === x.rank) return mask;
    return tf.logicalOr(tf.expandDims(mask, -1), tf.cast(tf.zerosLike(x), "bool"));
  });
  const joined = tf.concat(whole, axis);
  return context.keras < 3 ? tf.all(joined, -1) : tf.any(joined, -1);
}

function dot({ inputs, config }: KernelCall): tf.Tensor {
  const axes = config["axes"];
  const pair = typeof axes === "number" ? [axes, axes] : numberList(axes);
  const [a, b] = inputs.map((x, index) => {
    const axis = axisOf(pair[index]!, x.rank);
    return { x: isTrueAt(config, "normalize") ? unitLength(x, [axis], 1e-7) : x, axis };
  }) as [Operand, Operand];
  const left = contractedLast(a);
  const right = contractedLast(b);
  const result = tf.matMul(left.rows as tf.Tensor3D, right.rows as tf.Tensor3D, false, true);
  const shape = [sizeAt(a.x.shape, 0), ...left.kept, ...right.kept];
  return tf.reshape(result, shape.length === 1 ? [...shape, 1] : shape);
}

interface Operand {
  readonly x: tf.Tensor;
  readonly axis: number;
}

/**
 * Reshapes an operand to `[N, rows, size]` with the contracted axis last. `kept` are the sizes that the rows represent.
 */
function contractedLast({ x, axis }: Operand): { rows: tf.Tensor; kept: number[] } {
  const others = x.shape.map((_, index) => index).filter((index) => index !== 0 && index !== axis);
  const kept = others.map((index) => sizeAt(x.shape, index));
  const turned = tf.transpose(x, [0, ...others, axis]);
  return { rows: tf.reshape(turned, [sizeAt(x.shape, 0), product(kept), sizeAt(x.shape, axis)]), kept };
}
