/** The walk of a cell over time (`keras/src/backend/tensorflow/rnn.py`). */
import { tf } from "../../engine/tf.ts";
import { chosen } from "../masks.ts";
import { asBool } from "../number-functions.ts";
import type { Cell } from "./cells.ts";

/** What a step that the mask hides gives: zeros, what the step before gave, or the state before it (Keras before 2.3). */
export type HiddenOutput = "zeros" | "previous" | "state";

export interface Walk {
  readonly backwards: boolean;
  /** `[N, T]`, true where a step is shown; a hidden one leaves the states as they are. */
  readonly mask: tf.Tensor | undefined;
  readonly hidden: HiddenOutput;
}

export interface Walked {
  /** Of every step, in the order in which they were taken. */
  readonly outputs: readonly tf.Tensor[];
  readonly states: readonly tf.Tensor[];
}

/** Takes `cell` over `[N, T, …]` from `initial` states, or zeros. */
export function walk(cell: Cell, sequence: tf.Tensor, initial: readonly tf.Tensor[], how: Walk): Walked {
  const inputs = inOrder(tf.unstack(cell.prepare(sequence), 1), how.backwards);
  const shown = how.mask && inOrder(tf.unstack(asBool(how.mask), 1), how.backwards);
  const outputs: tf.Tensor[] = [];
  let states = initial.length > 0 ? initial : cell.start(inputs[0]!);
  inputs.forEach((input, time) => {
    const step = cell.step(input, states);
    const visible = shown?.[time];
    if (!visible) {
      outputs.push(step.output);
      states = step.states;
      return;
    }
    const before = how.hidden === "state" ? states[0] : how.hidden === "zeros" ? undefined : outputs.at(-1);
    outputs.push(bySample(visible, step.output, before ?? tf.zerosLike(step.output)));
    states = step.states.map((state, index) => bySample(visible, state, states[index]!));
  });
  return { outputs, states };
}

function inOrder<T>(steps: readonly T[], backwards: boolean): readonly T[] {
  return backwards ? steps.toReversed() : steps;
}

/** By sample: the one where `shown` `[N]` or `[N, 1]`, else the other. */
function bySample(shown: tf.Tensor, one: tf.Tensor, other: tf.Tensor): tf.Tensor {
  const axes = Array.from({ length: one.rank - 1 }, () => 1);
  return chosen(tf.reshape(shown, [shown.shape[0]!, ...axes]), one, other);
}
