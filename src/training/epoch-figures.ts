import { flatFigures } from "../task/figures.ts";
import { scoreKeeper } from "../task/score-keeper.ts";
import { disposeBatch, orderedBatches, uploadBatch } from "./batches.ts";
import { turnTaker } from "./event-loop.ts";
import type { Examples } from "./example-set.ts";
import { sampleCount } from "./example-set.ts";
import type { BatchFigures } from "./judged-batch.ts";
import type { Tail } from "./tail.ts";

/** `loss` and every metric by its name. */
export type Figures = { readonly loss: number } & Readonly<Record<string, number>>;

/**
 * Returns the figures of `examples` in inference mode. With `onBatch` every trained output is read, and it gets what was observed of
 * each batch, in the order of the samples.
 */
export async function evaluateExamples(
  tail: Tail,
  examples: Examples,
  batchSize: number,
  onBatch?: (observed: BatchFigures["observed"]) => void,
): Promise<Figures> {
  const keeper = scoreKeeper(tail.objective);
  const takeTurn = turnTaker();
  for (const rows of orderedBatches(sampleCount(examples), batchSize)) {
    const batch = await uploadBatch(examples, rows);
    const scores = await tail.evaluateBatch(batch, { observed: onBatch !== undefined });
    keeper.add(scores, scores.penalty);
    disposeBatch(batch);
    onBatch?.(scores.observed);
    const turn = takeTurn();
    if (turn) await turn;
  }
  return flatFigures(keeper.figures());
}

/** Returns the figures of one batch alone. */
export function batchFigures({ objective }: Tail, scores: BatchFigures): Figures {
  const keeper = scoreKeeper(objective);
  keeper.add(scores, scores.penalty);
  return flatFigures(keeper.figures());
}
