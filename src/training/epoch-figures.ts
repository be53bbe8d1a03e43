import { setImmediate as nextTurn } from "node:timers/promises";
import { flatFigures } from "../task/figures.ts";
import { scoreKeeper } from "../task/score-keeper.ts";
import { disposeBatch, orderedBatches, uploadBatch } from "./batches.ts";
import type { Examples } from "./example-set.ts";
import { sampleCount } from "./example-set.ts";
import type { BatchFigures, Tail } from "./tail.ts";

/** `loss` and every metric by its name. */
export type Figures = { readonly loss: number } & Readonly<Record<string, number>>;

/** Returns the figures of `examples` in inference mode. */
export async function evaluateExamples(tail: Tail, examples: Examples, batchSize: number): Promise<Figures> {
  const keeper = scoreKeeper(tail.objective);
  for (const rows of orderedBatches(sampleCount(examples), batchSize)) {
    const batch = await uploadBatch(examples, rows);
    const scores = tail.evaluateBatch(batch);
    keeper.add(scores, scores.penalty);
    disposeBatch(batch);
    await nextTurn();
  }
  return flatFigures(keeper.figures());
}

/** Returns the figures of one batch alone. */
export function batchFigures({ objective }: Tail, scores: BatchFigures): Figures {
  const keeper = scoreKeeper(objective);
  keeper.add(scores, scores.penalty);
  return flatFigures(keeper.figures());
}
