/** @file A stack of recurrences as one (`keras/src/layers/rnn/stacked_rnn_cells.py`). */
import type { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import type { Part, Recurrence } from "./recurrence.ts";
import { wholeStack } from "./whole-sequence.ts";

/** Joins recurrences, each of which reads the output of the one before: a step of the stack is a step of each. */
export function stackOf(first: Recurrence, ...others: readonly Recurrence[]): Recurrence {
  const all = [first, ...others];
  const last = all.at(-1) ?? first;
  const countBefore = all.slice(0, -1).reduce((sum, { stateSizes }) => sum + stateSizes.length, 0);
  const widths = all.map(({ stateSizes, output }) => stateSizes[output] ?? 0);
  // The first one's projection is that of the stack. Each other one stands before its recurrence.
  const parts = all.flatMap((each, index): (Part & { readonly width: number })[] => [
    ...(index === 0 ? [] : [{ ...each.projection, width: widths[index - 1] ?? 0 }]),
    { ...each, width: widths[index] ?? 0 },
  ]);
  const weightCounts = parts.map(({ weights }) => weights.length);
  const factorCounts = parts.map(({ factors }) => factors.count);
  const byKernel = wholeStack(
    all.map((each) => ({ stateCount: each.stateSizes.length, whole: each.byKernel })),
  );
  return {
    name: JSON.stringify([all.map(({ name }) => name), factorCounts]),
    stateSizes: all.flatMap(({ stateSizes }) => stateSizes),
    output: countBefore + last.output,
    isBounded: all.every(({ isBounded }) => isBounded),
    isRepeatable: all.every(({ isRepeatable }) => isRepeatable),
    projection: first.projection,
    weights: parts.flatMap(({ weights }) => weights),
    factors: {
      count: factorCounts.reduce((sum, count) => sum + count, 0),
      of: (shape) => parts.flatMap(({ factors, width }) => factors.of([sizeAt(shape, 0), width])),
    },
    step: (weights, factors) => {
      const [ownWeights, ownFactors] = [split(weights, weightCounts), split(factors, factorCounts)];
      return (prepared, states) => {
        const before = split(
          states,
          all.map(({ stateSizes }) => stateSizes.length),
        );
        let output = prepared;
        const next = all.flatMap(({ projection, step }, index) => {
          const place = 2 * index;
          const input =
            index === 0
              ? prepared
              : projection.compute(output, ownWeights[place - 1] ?? [], ownFactors[place - 1] ?? []);
          const taken = step(ownWeights[place] ?? [], ownFactors[place] ?? [])(input, before[index] ?? []);
          output = taken.output;
          return taken.states;
        });
        return { output, states: next };
      };
    },
    ...(byKernel && { byKernel }),
  };
}

/** Splits a list into lists of these lengths. */
function split(tensors: readonly tf.Tensor[], counts: readonly number[]): (readonly tf.Tensor[])[] {
  const left = [...tensors];
  return counts.map((count) => left.splice(0, count));
}
