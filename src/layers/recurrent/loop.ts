/** @file The loop of a cell over time (`keras/src/backend/tensorflow/rnn.py`). */

import { chosen } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { firstInput } from "../kernel.ts";
import { asBool } from "../ops/number-functions.ts";
import type { Cell } from "./cell.ts";
import { atPlaces, orderedSteps, stepOrder } from "./step-order.ts";
import type { WholeSequence } from "./whole-sequence.ts";

/** The output of a step that the mask hides: zeros, the previous output, or the state before it (Keras before 2.3). */
export type HiddenOutput = "zeros" | "previous" | "state";

export interface Walk {
  readonly backwards: boolean;
  /** A mask `[N, T]` that is true where a step is shown. A hidden step does not change the states. */
  readonly mask: tf.Tensor | undefined;
  readonly hidden: HiddenOutput;
  /** True to compute each step separately, which reads no values and treats all batch sizes alike. */
  readonly stepByStep?: boolean;
}

export interface Walked {
  /** Output of the last step taken. */
  readonly last: tf.Tensor;
  /** Returns the outputs of every step, `[N, T, …]`, in the order in which they were taken. */
  readonly outputs: () => tf.Tensor;
  readonly states: () => readonly tf.Tensor[];
}

/** Runs `cell` over `[N, T, …]` from `initial` states, or from zeros. */
export function walk(cell: Cell, sequence: tf.Tensor, initial: readonly tf.Tensor[], how: Walk): Walked {
  const [batch, time] = sequence.shape as [number, number];
  const { whole } = cell;
  const { mask, hidden } = how;
  if (!whole || how.stepByStep) return walkByStep(cell, sequence, initial, how);
  if (!mask) return walkAtOnce(cell, whole, sequence, initial, how);
  const canReorder =
    mask.size === batch * time && whole.isBounded && (hidden !== "state" || whole.output === 0);
  return canReorder
    ? walkReordered(cell, whole, sequence, initial, { ...how, mask })
    : walkByStep(cell, sequence, initial, how);
}

/** Takes all steps at once where each is shown. */
function walkAtOnce(
  cell: Cell,
  whole: WholeSequence,
  sequence: tf.Tensor,
  initial: readonly tf.Tensor[],
  { backwards }: Walk,
): Walked {
  const inTime = swapped(sequence);
  const steps = whole.prepare(backwards ? tf.reverse(inTime, 0) : inTime, 0);
  const start = initial.length > 0 ? initial : cell.start(sequence);
  const { all, last } = whole.take(steps, start);
  return {
    last: last(whole.output),
    outputs: () => swapped(all[whole.output] as tf.Tensor),
    states: () => all.map((_, state) => last(state)),
  };
}

/** Exchanges the first two axes. */
function swapped(sequence: tf.Tensor): tf.Tensor {
  return tf.transpose(sequence, [1, 0, ...sequence.shape.slice(2).map((_, axis) => axis + 2)]);
}

/** Takes the shown steps at once, with the hidden ones behind them. */
function walkReordered(
  cell: Cell,
  whole: WholeSequence,
  sequence: tf.Tensor,
  initial: readonly tf.Tensor[],
  { backwards, mask, hidden }: Walk & { readonly mask: tf.Tensor },
): Walked {
  const [batch, time] = sequence.shape as [number, number];
  const order = stepOrder([batch, time], backwards, mask);
  const steps = whole.prepare(orderedSteps(sequence, order), 0);
  const start = initial.length > 0 ? initial : cell.start(sequence);
  const { all: taken } = whole.take(steps, start, order.shownCount);
  const [hidden0, hiddenOfSteps] = [start, taken].map((states) => states[whole.output]) as [
    tf.Tensor,
    tf.Tensor,
  ];
  const firstHidden = hidden === "state" ? hidden0 : tf.zerosLike(hidden0);
  const isZero = hidden === "zeros";
  return {
    last: atPlaces(hiddenOfSteps, firstHidden, order.places("last", isZero), []),
    outputs: () => atPlaces(hiddenOfSteps, firstHidden, order.places("every", isZero), [time]),
    states: () =>
      start.map((state, index) => atPlaces(taken[index] as tf.Tensor, state, order.places("last"), [])),
  };
}

function walkByStep(cell: Cell, sequence: tf.Tensor, initial: readonly tf.Tensor[], how: Walk): Walked {
  const inputs = inOrder(tf.unstack(cell.prepare(sequence), 1), how.backwards);
  const shown = how.mask && inOrder(tf.unstack(asBool(how.mask), 1), how.backwards);
  const outputs: tf.Tensor[] = [];
  let states = initial.length > 0 ? initial : cell.start(firstInput(inputs));
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
    states = states.map((state, index) => bySample(visible, step.states[index] as tf.Tensor, state));
  });
  return { last: outputs.at(-1) as tf.Tensor, outputs: () => tf.stack(outputs, 1), states: () => states };
}

function inOrder<T>(steps: readonly T[], backwards: boolean): readonly T[] {
  return backwards ? steps.toReversed() : steps;
}

/** Selects by sample: from `one` where `shown` `[N]` or `[N, 1]` is true, else from `other`. */
function bySample(shown: tf.Tensor, one: tf.Tensor, other: tf.Tensor): tf.Tensor {
  const axes = Array.from({ length: one.rank - 1 }, () => 1);
  return chosen(tf.reshape(shown, [sizeAt(shown.shape, 0), ...axes]), one, other);
}
