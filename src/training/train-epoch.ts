import { TopologyError } from "../errors.ts";
import { flatFigures } from "../task/figures.ts";
import { scoreKeeper } from "../task/score-keeper.ts";
import type { Batch } from "./batch.ts";
import { disposeBatch, shuffledBatches, uploadBatch } from "./batches.ts";
import type { Callback, Moment, StepFigures } from "./callbacks/callback.ts";
import type { Figures } from "./epoch-figures.ts";
import { batchFigures } from "./epoch-figures.ts";
import { turnTaker } from "./event-loop.ts";
import type { Examples } from "./example-set.ts";
import { sampleCount } from "./example-set.ts";
import type { BatchFigures } from "./judged-batch.ts";
import { isFiniteLoss } from "./judged-batch.ts";
import type { Tail } from "./tail.ts";

/** One epoch to be trained. */
export interface EpochPlan {
  readonly phase: number;
  readonly epoch: number;
  /** Steps that the phase has taken before. */
  readonly iterations: number;
  readonly examples: Examples;
  readonly callbacks: readonly Callback[];
  readonly batchSize: number;
  readonly seed: number;
  readonly signal?: AbortSignal | undefined;
}

export interface TrainedEpoch {
  readonly figures: Figures;
  /** The rate of the last step. */
  readonly lr: number;
  readonly steps: number;
}

/**
 * Takes a step for each batch of the epoch's samples, in an order that follows from the seed and the epoch.
 * @throws the signal's reason, and a {TopologyError} that names the layer whose values are not finite.
 */
export async function trainEpoch(tail: Tail, plan: EpochPlan): Promise<TrainedEpoch> {
  const { phase, epoch, iterations, callbacks, batchSize, seed, signal } = plan;
  let { examples } = plan;
  for (const callback of callbacks)
    if (callback.examples) examples = (await callback.examples(epoch, examples)) ?? examples;
  const batches = shuffledBatches(sampleCount(examples), batchSize, seed, epoch);
  const steps = batches.length;
  const keeper = scoreKeeper(tail.objective);
  const needsMetrics = callbacks.some(({ stepEnd, readsLossAlone }) => stepEnd && !readsLossAlone);
  const takeTurn = turnTaker();
  let lr = tail.learningRate;
  for (const [index, rows] of batches.entries()) {
    signal?.throwIfAborted();
    const moment: Moment = { phase, epoch, step: index + 1, steps, iteration: iterations + index };
    lr = tail.learningRate;
    for (const callback of callbacks)
      if (callback.learningRate) lr = (await callback.learningRate(moment, lr)) ?? lr;
    const batch = await uploadBatch(examples, rows);
    const figures = await stepOn(tail, batch, lr);
    if (!isFiniteLoss(figures)) throw await notFinite(tail, batch, epoch, index + 1);
    disposeBatch(batch);
    keeper.add(figures, figures.penalty);
    const { samples } = figures;
    const lossAlone: StepFigures = { loss: figures.loss + figures.penalty, lr, samples };
    const all: StepFigures = needsMetrics ? { ...batchFigures(tail, figures), lr, samples } : lossAlone;
    for (const callback of callbacks) {
      const ended = callback.stepEnd?.(moment, callback.readsLossAlone ? lossAlone : all);
      if (ended) await ended;
    }
    const turn = takeTurn();
    if (turn) await turn;
  }
  const strange = await tail.nonFiniteWeight();
  if (strange !== null) {
    throw new TopologyError(
      `${strange}: values after epoch ${epoch}: expected finite numbers, got NaN or infinity. Lower the learning rate.`,
      "not-finite",
    );
  }
  return { figures: flatFigures(keeper.figures()), lr, steps };
}

/** Takes a step; where there is no memory for it, the batch is released. */
async function stepOn(tail: Tail, batch: Batch, lr: number): Promise<BatchFigures> {
  try {
    return await tail.trainOnBatch(batch, lr, "finite");
  } catch (error) {
    disposeBatch(batch);
    throw error;
  }
}

/** Returns the error that names the layer whose values are not finite, and releases the batch. */
export async function notFinite(
  tail: Tail,
  batch: Batch,
  epoch: number,
  step: number,
): Promise<TopologyError> {
  const layer = await tail.firstNonFinite(batch);
  disposeBatch(batch);
  const advice =
    layer?.className === "GlobalAveragePooling1D"
      ? "A sample has nothing but masked steps, as a text without a word: leave it out."
      : "Lower the learning rate.";
  return new TopologyError(
    `${layer?.path ?? "the loss"}: values in epoch ${epoch}, step ${step}: expected finite numbers, got NaN or infinity. ${advice}`,
    "not-finite",
  );
}
