import { setImmediate as nextTurn } from "node:timers/promises";
import { disposeBatch, shuffledBatches, uploadBatch } from "./batches.ts";
import type { Callback } from "./callbacks/callback.ts";
import type { Examples } from "./example-set.ts";
import { sampleCount } from "./example-set.ts";
import type { RatePoint } from "./rate-suggestions.ts";
import type { Tail } from "./tail.ts";
import { notFinite } from "./train-epoch.ts";

/** Conditions of a range test. */
export interface RangePlan {
  readonly examples: Examples;
  /** Exchange the examples from epoch to epoch, as in a run. */
  readonly callbacks: readonly Callback[];
  /** Epochs that the callbacks have examples for, counted from 1; later ones begin with the first again. */
  readonly epochs: number;
  readonly batchSize: number;
  readonly seed: number;
  /** Updates, each with a rate of its own. */
  readonly steps: number;
  readonly startRate: number;
  readonly endRate: number;
  /** Batches whose gradients make one update. */
  readonly accumulate: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((step: number, loss: number) => void) | undefined;
}

export interface RangeTest {
  readonly curve: readonly RatePoint[];
  /** True if the test ended before its last step, because the loss had grown beyond all bounds. */
  readonly diverged: boolean;
}

/** Share of the average that stays at each step, as in `SmoothMetric` of fastai. */
const smoothing = 0.98;
/** The test ends once the smoothed loss is above its lowest by more than this many times that: four times the lowest. */
const divergence = 3;

/**
 * Trains with a rate that rises exponentially from step to step, and records the loss: Leslie Smith's range test. The tail's weights
 * are spoiled afterwards. The same seed gives the same curve to the bit.
 * @throws the signal's reason, and a {TopologyError} that names the layer where the very first loss is not finite.
 */
export async function rangeTest(tail: Tail, plan: RangePlan): Promise<RangeTest> {
  const { steps, startRate, endRate, accumulate, signal, onStep } = plan;
  const curve: RatePoint[] = [];
  const batches = endlessBatches(plan);
  let [average, best] = [0, Infinity];
  for (let step = 0; step < steps; step++) {
    const learningRate = startRate * (endRate / startRate) ** (step / (steps - 1));
    let [total, samples] = [0, 0];
    for (let part = 0; part < accumulate; part++) {
      signal?.throwIfAborted();
      const { value } = await batches.next();
      const batch = await uploadBatch(value.examples, value.rows);
      const { loss, penalty, samples: count } = await tail.trainOnBatch(batch, learningRate, "finite");
      if (!Number.isFinite(loss + penalty) && step + part === 0) throw await notFinite(tail, batch, 1, 1);
      disposeBatch(batch);
      total += (loss + penalty) * count;
      samples += count;
      await nextTurn();
    }
    const batchLoss = total / samples;
    if (!Number.isFinite(batchLoss)) return { curve, diverged: true };
    average = smoothing * average + (1 - smoothing) * batchLoss;
    const loss = average / (1 - smoothing ** (step + 1));
    curve.push({ learningRate, loss, batchLoss });
    onStep?.(step + 1, loss);
    best = Math.min(best, loss);
    if (loss > best + divergence * Math.abs(best)) return { curve, diverged: true };
  }
  return { curve, diverged: false };
}

/** Gives the batches of one epoch after the other, without end. */
async function* endlessBatches({
  examples: given,
  callbacks,
  epochs,
  batchSize,
  seed,
}: RangePlan): AsyncGenerator<{ readonly examples: Examples; readonly rows: Uint32Array }, never> {
  for (let epoch = 1; ; epoch++) {
    let examples = given;
    const within = ((epoch - 1) % epochs) + 1;
    for (const callback of callbacks) examples = (await callback.examples?.(within, examples)) ?? examples;
    for (const rows of shuffledBatches(sampleCount(examples), batchSize, seed, epoch)) {
      yield { examples, rows };
    }
  }
}
