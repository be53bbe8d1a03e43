/** A walk over time as one operation. What a mask hides is moved behind what it shows, so that no step has to keep states. */
import { tf } from "../../engine/tf.ts";

/** A cell that takes all steps at once. Steps behind those that are read must not overflow: its states are bounded. */
export interface WholeSequence {
  /** What of a sequence `[N, T, I]` the steps read, `[N, T, …]`. */
  readonly prepare: (sequence: tf.Tensor) => tf.Tensor;
  /** The states after each of the steps `[T, N, …]`, `[T, N, U]` each. The first is the output. */
  readonly take: (steps: tf.Tensor, states: readonly tf.Tensor[]) => readonly tf.Tensor[];
}

/** A way through a batch's sequences. Places of steps count from 1; 0 is what was there before the first. */
export interface StepOrder {
  readonly batch: number;
  readonly time: number;
  /** How many steps are taken: those of the sample that shows the most. */
  readonly count: number;
  /** The time of each step taken, a sample after the other `[N, count]`. */
  readonly taken: Int32Array;
  /** How many steps are shown up to each, in order, `[N, T]`. */
  readonly places: Int32Array;
  /** Which steps are shown, in order, `[N, T]`. */
  readonly shown: readonly boolean[];
}

/** `mask` `[N, T]` says what is shown; without one, all is. */
export function stepOrder(
  [batch, time]: readonly [number, number],
  backwards: boolean,
  mask?: ArrayLike<number>,
): StepOrder {
  const times = Array.from({ length: time }, (_, step) => (backwards ? time - 1 - step : step));
  const shown = Array.from(
    { length: batch * time },
    (_, index) => mask?.[index - (index % time) + times[index % time]!] !== 0,
  );
  const places = new Int32Array(batch * time);
  shown.forEach((isShown, index) => {
    places[index] = (index % time === 0 ? 0 : places[index - 1]!) + (isShown ? 1 : 0);
  });
  const samples = Array.from({ length: batch }, (_, sample) => sample * time);
  const count = samples.reduce((most, start) => Math.max(most, places[start + time - 1]!), 1);
  const taken = samples.flatMap((start) =>
    [true, false]
      .flatMap((wanted) => times.filter((_, step) => shown[start + step] === wanted))
      .slice(0, count),
  );
  return { batch, time, count, taken: Int32Array.from(taken), places, shown };
}

/** The steps of `[N, T, …]` in their order, `[count, N, …]`. */
export function orderedSteps(sequence: tf.Tensor, { batch, time, count, taken }: StepOrder): tf.Tensor {
  const rows = Int32Array.from({ length: count * batch }, (_, index) => {
    const sample = index % batch;
    return sample * time + taken[sample * count + Math.floor(index / batch)]!;
  });
  const shape = sequence.shape.slice(2);
  return rowsOf(tf.reshape(sequence, [batch * time, ...shape]), rows, [count, batch, ...shape]);
}

/** Of `[count, N, U]` with `start` `[N, U]` before it, what each of `places`, `[N, …shape]`, names: `[N, …shape, U]`. */
export function atPlaces(
  steps: tf.Tensor,
  start: tf.Tensor,
  places: Int32Array,
  shape: readonly number[],
): tf.Tensor {
  const [count, batch, units] = steps.shape as [number, number, number];
  const perSample = places.length / batch;
  const rows = places.map((place, index) => place * batch + Math.floor(index / perSample));
  const flat = tf.concat([start, tf.reshape(steps, [count * batch, units])], 0);
  return rowsOf(flat, rows, [batch, ...shape, units]);
}

function rowsOf(table: tf.Tensor, rows: Int32Array, shape: readonly number[]): tf.Tensor {
  return tf.reshape(tf.gather(table, tf.tensor1d(rows, "int32")), [...shape]);
}
