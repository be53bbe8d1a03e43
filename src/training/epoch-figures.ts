import { setImmediate as nextTurn } from "node:timers/promises";
import { disposeBatch, orderedBatches, uploadBatch } from "./batches.ts";
import type { Examples } from "./example-set.ts";
import { sampleCount } from "./example-set.ts";
import type { BatchFigures, Tail } from "./tail.ts";

/** `loss` and every metric by its name. */
export type Figures = { readonly loss: number } & Readonly<Record<string, number>>;

/** Returns the figures of `examples` in inference mode. */
export async function evaluateExamples(tail: Tail, examples: Examples, batchSize: number): Promise<Figures> {
  const all: BatchFigures[] = [];
  for (const rows of orderedBatches(sampleCount(examples), batchSize)) {
    const batch = await uploadBatch(examples, rows);
    all.push(tail.evaluateBatch(batch));
    disposeBatch(batch);
    await nextTurn();
  }
  return meanFigures(all);
}

/** Returns the figures of several batches as of one: each counts by its number of samples. */
export function meanFigures(all: readonly BatchFigures[]): Figures {
  const samples = all.reduce((sum, figures) => sum + figures.samples, 0);
  const loss = all.reduce((sum, figures) => sum + figures.lossSum + figures.penalty * figures.samples, 0);
  const correct = all.reduce((sum, figures) => sum + (figures.correctSum ?? Number.NaN), 0);
  const counted = all.reduce((sum, figures) => sum + figures.counted, 0);
  return {
    loss: loss / samples,
    ...(!Number.isNaN(correct) && { accuracy: correct / (counted || 1) }),
  };
}
