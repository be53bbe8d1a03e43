/** @file The results of a training step before it moves a weight. */
import type { tf } from "../engine/tf.ts";
import type { JudgedOutput } from "../task/judgement.ts";

/** The gradient of one weight, with its addends if it is a lookup table of Keras 3. */
export interface WeightGradient {
  readonly path: string;
  readonly name: string;
  readonly gradient: tf.Tensor;
  readonly addends: { readonly values: tf.Tensor; readonly rows: tf.Tensor } | null;
}

/** The results of a step's forward and backward pass. */
export interface ComputedStep {
  /** The judged outputs, without their gradients. */
  readonly parts: readonly JudgedOutput[];
  /** New moving statistics by layer path. */
  readonly state: ReadonlyMap<string, Readonly<Record<string, tf.Tensor>>>;
  /** In the order in which the backward pass completes them. */
  readonly gradients: readonly WeightGradient[];
}

/** Returns all tensors of a step, always in the same order. */
export function stepTensors(step: ComputedStep): tf.Tensor[] {
  const tensors: tf.Tensor[] = [];
  mappedStep(step, (tensor) => {
    tensors.push(tensor);
    return tensor;
  });
  return tensors;
}

/** Returns a step of the same form with other tensors, which stand in the order of `stepTensors`. */
export function stepOfTensors(form: ComputedStep, tensors: readonly tf.Tensor[]): ComputedStep {
  let next = 0;
  return mappedStep(form, () => {
    const tensor = tensors[next++];
    if (!tensor) throw new Error("step: fewer tensors than its form has");
    return tensor;
  });
}

function mappedStep(step: ComputedStep, map: (tensor: tf.Tensor) => tf.Tensor): ComputedStep {
  const optional = (tensor: tf.Tensor | null): tf.Tensor | null => tensor && map(tensor);
  return {
    parts: step.parts.map(({ value, seen }) => ({
      value: optional(value),
      gradient: null,
      seen: seen && {
        outputs: map(seen.outputs),
        mask: optional(seen.mask),
        logits: optional(seen.logits),
      },
    })),
    state: new Map(
      [...step.state].map(([path, own]) => [
        path,
        Object.fromEntries(Object.entries(own).map(([name, tensor]) => [name, map(tensor)])),
      ]),
    ),
    gradients: step.gradients.map(({ path, name, gradient, addends }) => ({
      ...{ path, name, gradient: map(gradient) },
      addends: addends && { values: map(addends.values), rows: map(addends.rows) },
    })),
  };
}
