/** @file A loop over time as one operation. */
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
  /**
   * Takes all steps `[T, N, …]` from the given states. Only the first `count` of them, an int32 scalar, will be read where it is given: the
   * others may be left out.
   */
  readonly take: (steps: tf.Tensor, states: readonly tf.Tensor[], count?: tf.Tensor) => TakenSteps;
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
