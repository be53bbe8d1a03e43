/**
 * @file A loop over time as one operation. Hidden steps are moved behind the shown ones, so that no step has to keep
 * states.
 */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";

/** The states of a cell that has taken all steps. */
export interface TakenSteps {
  /** Each state after every step, `[T, N, U]`. */
  readonly all: readonly tf.Tensor[];
  /** Returns a state after the last step, `[N, U]`. */
  readonly last: (state: number) => tf.Tensor;
}

/** Returns states after every step, the last of which are read from there. */
export function takenSteps(all: readonly tf.Tensor[]): TakenSteps {
  return { all, last: (state) => lastStep(all[state] as tf.Tensor) };
}

/** Returns the last step of `[T, …]`. */
function lastStep(steps: tf.Tensor): tf.Tensor {
  return tf.squeeze(tf.slice(steps, sizeAt(steps.shape, 0) - 1, 1), [0]);
}

/** A cell that takes all steps at once. */
export interface WholeSequence {
  /** Computes the part of a sequence `[N, T, I]` that the steps read, `[N, T, …]`. Its time may stand at another axis. */
  readonly prepare: (sequence: tf.Tensor, timeAxis?: number) => tf.Tensor;
  /** Takes all steps `[T, N, …]` from the given states. */
  readonly take: (steps: tf.Tensor, states: readonly tf.Tensor[]) => TakenSteps;
  /** The number of the state that is the output. */
  readonly output: number;
  /** True if the states stay bounded: steps behind those that are read do not overflow. */
  readonly isBounded: boolean;
}

/** A cell of a stack, which may take all steps at once. */
interface StackedCell {
  readonly stateCount: number;
  readonly whole: WholeSequence | undefined;
}

/** Returns a stack of cells as one that takes all steps at once, if each does: it takes all outputs of the one before. */
export function wholeStack(cells: readonly StackedCell[]): WholeSequence | undefined {
  const wholes = cells.flatMap(({ whole }) => whole ?? []);
  const [first, last] = [wholes[0], wholes.at(-1)];
  if (!first || !last || wholes.length < cells.length) return undefined;
  const countBefore = cells.slice(0, -1).reduce((sum, { stateCount }) => sum + stateCount, 0);
  return {
    prepare: first.prepare,
    take: (steps, states) => {
      const left = [...states];
      let sequence = steps;
      const taken = wholes.map((whole, index) => {
        const prepared = index === 0 ? sequence : whole.prepare(sequence, 0);
        const own = whole.take(prepared, left.splice(0, cells[index]?.stateCount ?? 0));
        sequence = own.all[whole.output] as tf.Tensor;
        return own;
      });
      const lasts = taken.flatMap(({ all, last }) => all.map((_, state) => () => last(state)));
      return {
        all: taken.flatMap(({ all }) => all),
        last: (state) => (lasts[state] as () => tf.Tensor)(),
      };
    },
    output: countBefore + last.output,
    isBounded: wholes.every(({ isBounded }) => isBounded),
  };
}

/** The order of steps in a batch's sequences. Places count from 1; 0 is the state before the first step. */
export interface StepOrder {
  readonly batch: number;
  readonly time: number;
  /** The number of steps taken: that of the sample with the most shown steps. */
  readonly count: number;
  /** The times of all steps, sample by sample, the shown ones first, `[N, T]`. Only `count` of each are taken. */
  readonly ordered: Int32Array;
  /** The number of steps shown up to each step, in order, `[N, T]`. */
  readonly places: Int32Array;
  /** 1 for each step that is shown, in order, `[N, T]`. */
  readonly shown: Uint8Array;
}

/** Returns the order of steps that a mask `[N, T]` shows or hides. */
export function stepOrder(
  [batch, time]: readonly [number, number],
  backwards: boolean,
  mask: ArrayLike<number>,
): StepOrder {
  const places = new Int32Array(batch * time);
  const shown = new Uint8Array(batch * time);
  const ordered = new Int32Array(batch * time);
  let count = 1;
  for (let start = 0; start < batch * time; start += time) {
    const timeOf = (step: number): number => (backwards ? time - 1 - step : step);
    let place = 0;
    for (let step = 0; step < time; step++) {
      if (mask[start + timeOf(step)] !== 0) {
        shown[start + step] = 1;
        ordered[start + place++] = timeOf(step);
      }
      places[start + step] = place;
    }
    count = Math.max(count, place);
    for (let step = 0; step < time; step++) {
      if (shown[start + step] === 0) ordered[start + place++] = timeOf(step);
    }
  }
  return { batch, time, count, ordered, places, shown };
}

/** Returns the steps of `[N, T, …]` in their order, `[count, N, …]`. */
export function orderedSteps(sequence: tf.Tensor, { batch, time, count, ordered }: StepOrder): tf.Tensor {
  const rows = Int32Array.from({ length: count * batch }, (_, index) => {
    const start = (index % batch) * time;
    return start + ordered[start + Math.floor(index / batch)]!;
  });
  const shape = sequence.shape.slice(2);
  return rowsOf(tf.reshape(sequence, [batch * time, ...shape]), rows, [count, batch, ...shape]);
}

/**
 * Returns the values at `places` `[N, …shape]` of `[count, N, U]` with `start` `[N, U]` before it: `[N, …shape, U]`.
 */
export function atPlaces(
  steps: tf.Tensor,
  start: tf.Tensor,
  places: Int32Array,
  shape: readonly number[],
): tf.Tensor {
  const [count, batch, units] = steps.shape as [number, number, number];
  const perSample = places.length / batch;
  // The start is in front of the table only if a place of it is asked for.
  const first = places.includes(0) ? 0 : 1;
  const rows = places.map((place, index) => (place - first) * batch + Math.floor(index / perSample));
  const taken = tf.reshape(steps, [count * batch, units]);
  const flat = first === 0 ? tf.concat([start, taken], 0) : taken;
  return rowsOf(flat, rows, [batch, ...shape, units]);
}

function rowsOf(table: tf.Tensor, rows: Int32Array, shape: readonly number[]): tf.Tensor {
  return tf.reshape(tf.gather(table, tf.tensor1d(rows, "int32")), [...shape]);
}
