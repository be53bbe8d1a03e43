/**
 * @file The order in which the steps of masked sequences are taken: the hidden ones behind the shown ones, so that no step has to keep
 * states.
 */
import { isPartOfGraph } from "../../engine/graph/recorded-operations.ts";
import { tf } from "../../engine/tf.ts";
import { asBool } from "../ops/number-functions.ts";

/** The order of steps in a batch's sequences. Places count from 1; 0 is the state before the first step. */
export interface StepOrder {
  /** The number of steps of the order. */
  readonly count: number;
  /** The number of those that are read, an int32 scalar, where it depends on the mask. */
  readonly shownCount?: tf.Tensor;
  /** The rows of a sequence `[N * T, …]` that the steps are, step by step, `[count * N]`. */
  readonly rows: tf.Tensor1D;
  /** Returns the place of each step, or of each sequence's last one; 0 for a hidden step where asked for. */
  readonly places: (of: "every" | "last", zeroWhereHidden?: boolean) => Places;
}

/** Places of steps among those taken, sample by sample. */
interface Places {
  /** The rows of `[places * N, …]`, in which the state before the first step stands only where one is at place 0. */
  readonly rows: tf.Tensor1D;
  readonly withStart: boolean;
}

type BatchAndTime = readonly [batch: number, time: number];

/** Returns the order of steps that a mask `[N, T]` shows or hides. Within a graph it is computed there, else from the mask's values. */
export function stepOrder(shape: BatchAndTime, backwards: boolean, mask: tf.Tensor): StepOrder {
  const shown = asBool(mask);
  return isPartOfGraph()
    ? orderInGraph(shape, backwards, shown)
    : orderOf(shape, backwards, shown.dataSync());
}

/** Returns the order by the mask's values: no more steps are taken than the sample with the most shown steps has. */
function orderOf([batch, time]: BatchAndTime, backwards: boolean, mask: ArrayLike<number>): StepOrder {
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
  const rows = Int32Array.from({ length: count * batch }, (_, index) => {
    const start = (index % batch) * time;
    return start + (ordered[start + Math.floor(index / batch)] ?? 0);
  });
  return {
    count,
    rows: tf.tensor1d(rows, "int32"),
    places: (of, zeroWhereHidden = false) => {
      const every = places.map((place, index) => (zeroWhereHidden && !shown[index] ? 0 : place));
      const asked = of === "every" ? every : every.filter((_, index) => index % time === time - 1);
      const perSample = asked.length / batch;
      const withStart = asked.includes(0);
      const first = withStart ? 0 : 1;
      const rowsOfPlaces = asked.map(
        (place, index) => (place - first) * batch + Math.floor(index / perSample),
      );
      return { rows: tf.tensor1d(rowsOfPlaces, "int32"), withStart };
    },
  };
}

/** Computes the order, which has all steps, by operations that look at no values. */
function orderInGraph([batch, time]: BatchAndTime, backwards: boolean, mask: tf.Tensor): StepOrder {
  const inOrder = tf.reshape(backwards ? tf.reverse(tf.cast(mask, "int32"), 1) : tf.cast(mask, "int32"), [
    batch,
    time,
  ]);
  // A plain number would make float32 of what it is added to.
  const whole = (value: number): tf.Scalar => tf.scalar(value, "int32");
  const step = tf.range(0, time, 1, "int32");
  const sample = tf.reshape(tf.range(0, batch, 1, "int32"), [batch, 1]);
  const place = tf.cumsum(inOrder, 1);
  const shownCounts = tf.slice(place, [0, time - 1], [batch, 1]);
  const isShown = tf.cast(inOrder, "bool");
  const position = tf.where(isShown, tf.sub(place, whole(1)), tf.add(shownCounts, tf.sub(step, place)));
  const source = tf.add(tf.mul(sample, whole(time)), backwards ? tf.sub(whole(time - 1), step) : step);
  const target = tf.add(tf.mul(position, whole(batch)), sample);
  const count = batch * time;
  return {
    count: time,
    shownCount: tf.max(shownCounts),
    rows: tf.scatterND(tf.reshape(target, [count, 1]), tf.reshape(source, [count]), [count]),
    places: (of, zeroWhereHidden = false) => {
      const every = zeroWhereHidden ? tf.mul(place, inOrder) : place;
      const asked = of === "every" ? every : tf.slice(every, [0, time - 1], [batch, 1]);
      return { rows: tf.reshape(tf.add(tf.mul(asked, whole(batch)), sample), [-1]), withStart: true };
    },
  };
}

/** Returns the steps of `[N, T, …]` in their order, `[count, N, …]`. */
export function orderedSteps(sequence: tf.Tensor, { count, rows }: StepOrder): tf.Tensor {
  const [batch, time, ...shape] = sequence.shape as [number, number, ...number[]];
  const table = tf.reshape(sequence, [batch * time, ...shape]);
  return tf.reshape(tf.gather(table, rows), [count, batch, ...shape]);
}

/** Returns the values at places of `[count, N, U]` with `start` `[N, U]` before it: `[N, …shape, U]`. */
export function atPlaces(
  steps: tf.Tensor,
  start: tf.Tensor,
  { rows, withStart }: Places,
  shape: readonly number[],
): tf.Tensor {
  const [count, batch, units] = steps.shape as [number, number, number];
  const taken = tf.reshape(steps, [count * batch, units]);
  const table = withStart ? tf.concat([start, taken], 0) : taken;
  return tf.reshape(tf.gather(table, rows), [batch, ...shape, units]);
}
