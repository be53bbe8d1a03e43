import { setImmediate as nextTurn } from "node:timers/promises";
import type { Weights } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { TopologyError } from "../errors.ts";
import type { SampleRows } from "../features/sample-rows.ts";
import { tensorRows } from "../features/sample-rows.ts";
import type { Tensor } from "../tensor.ts";
import type { Epoch, History } from "./history.ts";
import { permutation } from "./permutation.ts";
import type { Batch, BatchFigures, Snapshot, Tail } from "./tail.ts";

/** Features of all samples, rows for each frontier tensor, with their targets. */
export interface Examples {
  readonly features: readonly SampleRows[];
  /** `[N]` or `[N, K]`. */
  readonly targets: Tensor;
  /** `[N]` */
  readonly sampleWeights?: Tensor;
}

export interface TrainOptions {
  readonly epochs: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly learningRate: number;
  readonly patience?: number;
  readonly signal?: AbortSignal;
  readonly onStep?: (step: { epoch: number; step: number; steps: number; loss: number }) => void;
  readonly onEpoch?: (epoch: Epoch, best: boolean) => void;
}

export interface Trained {
  readonly history: History;
  /** From 1; 0 where no epoch was completed. */
  readonly bestEpoch: number;
  /** What training moved, as it was after the best epoch. */
  readonly weights: Weights;
  /** What ended the run before its last epoch, for the caller to throw once the rest is safe. */
  readonly stopped?: unknown;
}

/**
 * Epochs over `train` in a fresh seeded order each, the last partial batch kept. Best is the lowest `val_loss`, the first of
 * equals; without validation the last epoch. An aborted signal ends the run after the step at hand, and a loss that is not finite
 * at once: what the completed epochs gave is kept then, with the reason in `stopped`.
 * @throws the signal's reason, or a {TopologyError} that names the layer the values come from, where no epoch is complete.
 */
export async function train(
  tail: Tail,
  examples: Examples,
  validation: Examples | null,
  options: TrainOptions,
): Promise<Trained> {
  const history: Epoch[] = [];
  let best: { epoch: number; loss: number; snapshot: Snapshot } | null = null;
  let stopped: unknown;
  for (let epoch = 1; epoch <= options.epochs; epoch++) {
    const started = performance.now();
    const figures = await trainEpoch(tail, examples, epoch, options).catch((error: unknown) => {
      if (best === null) throw error;
      stopped = error;
      return null;
    });
    if (figures === null) break;
    const held = validation ? await evaluateExamples(tail, validation, options.batchSize) : null;
    const entry: Epoch = {
      epoch,
      loss: figures.loss,
      ...(figures.accuracy !== null && { accuracy: figures.accuracy }),
      ...(held && { val_loss: held.loss }),
      ...(held && held.accuracy !== null && { val_accuracy: held.accuracy }),
      lr: options.learningRate,
      seconds: (performance.now() - started) / 1000,
    };
    history.push(entry);
    const isBest = !held || !best || held.loss < best.loss;
    if (isBest) {
      best?.snapshot.dispose();
      best = { epoch, loss: held?.loss ?? figures.loss, snapshot: tail.snapshot() };
    }
    options.onEpoch?.(entry, isBest);
    if (options.patience !== undefined && epoch - best!.epoch >= options.patience) break;
  }
  const { epoch: bestEpoch, snapshot } = best ?? { epoch: 0, snapshot: tail.snapshot() };
  const weights = snapshot.read();
  snapshot.dispose();
  return {
    history,
    bestEpoch,
    weights,
    ...(stopped !== undefined && { stopped }),
  };
}

async function trainEpoch(
  tail: Tail,
  examples: Examples,
  epoch: number,
  { batchSize, seed, learningRate, signal, onStep }: TrainOptions,
): Promise<{ loss: number; accuracy: number | null }> {
  const order = permutation(examples.targets.shape[0]!, seed, epoch);
  const steps = Math.ceil(order.length / batchSize);
  const all: BatchFigures[] = [];
  for (let step = 0; step < steps; step++) {
    signal?.throwIfAborted();
    const batch = uploadBatch(examples, order.subarray(step * batchSize, (step + 1) * batchSize));
    const figures = tail.trainOnBatch(batch, learningRate, "finite");
    if (!Number.isFinite(figures.lossSum + figures.penalty)) throw notFinite(tail, batch, epoch, step + 1);
    disposeBatch(batch);
    all.push(figures);
    onStep?.({ epoch, step: step + 1, steps, loss: meanFigures(all).loss });
    await nextTurn();
  }
  return meanFigures(all);
}

function notFinite(tail: Tail, batch: Batch, epoch: number, step: number): TopologyError {
  const layer = tail.firstNonFinite(batch);
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

/** Mean loss and accuracy in inference mode. */
export async function evaluateExamples(
  tail: Tail,
  examples: Examples,
  batchSize: number,
): Promise<{ loss: number; accuracy: number | null }> {
  const count = examples.targets.shape[0]!;
  const all: BatchFigures[] = [];
  for (let from = 0; from < count; from += batchSize) {
    const rows = Uint32Array.from({ length: Math.min(batchSize, count - from) }, (_, row) => from + row);
    const batch = uploadBatch(examples, rows);
    all.push(tail.evaluateBatch(batch));
    disposeBatch(batch);
    await nextTurn();
  }
  return meanFigures(all);
}

function meanFigures(all: readonly BatchFigures[]): { loss: number; accuracy: number | null } {
  const samples = all.reduce((sum, figures) => sum + figures.samples, 0);
  const loss = all.reduce((sum, figures) => sum + figures.lossSum + figures.penalty * figures.samples, 0);
  const correct = all.reduce((sum, figures) => sum + (figures.correctSum ?? Number.NaN), 0);
  const counted = all.reduce((sum, figures) => sum + figures.counted, 0);
  return { loss: loss / samples, accuracy: Number.isNaN(correct) ? null : correct / (counted || 1) };
}

function uploadBatch({ features, targets, sampleWeights }: Examples, rows: Uint32Array): Batch {
  return {
    features: features.map((source) => uploadPicked(source, rows)),
    targets: uploadPicked(tensorRows(targets), rows),
    ...(sampleWeights && { sampleWeights: uploadPicked(tensorRows(sampleWeights), rows) }),
  };
}

function uploadPicked(source: SampleRows, rows: Uint32Array): tf.Tensor {
  const { data, shape } = source.pick(rows);
  return tf.tensor(data as Float32Array, [...shape], "float32");
}

function disposeBatch(batch: Batch): void {
  tf.dispose([...batch.features, batch.targets, ...(batch.sampleWeights ? [batch.sampleWeights] : [])]);
}
