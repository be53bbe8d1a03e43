import type { Checkpoint, Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import { sampleUnit } from "../data/dataset.ts";
import type { EngineInfo } from "../engine/backend.ts";
import { withTrainableFlags } from "../topology/trainable-flags.ts";
import type { History } from "../training/history.ts";
import type { Trained } from "../training/train.ts";
import type { RunExamples } from "./features.ts";
import type { RunRecord } from "./folder.ts";
import type { FinetuneOptions } from "./options.ts";
import type { PreparedRun } from "./prepare.ts";
import { hashFrozenWeights, proofOf } from "./proof.ts";
import { runDefaults } from "./training.ts";

/** What the run leaves: the tuned checkpoint with its flags, what it cost, and the proof that the rest did not move. */
export function runRecord(
  run: PreparedRun,
  engine: EngineInfo,
  examples: RunExamples,
  { history, bestEpoch, weights }: Trained,
  options: FinetuneOptions,
): RunRecord {
  const checkpoint = tunedCheckpoint(run, weights);
  const moving = new Map([...weights].map(([path, layer]) => [path, new Set(layer.map(({ name }) => name))]));
  const { figures } = examples;
  return {
    checkpoint,
    history,
    bestEpoch,
    plan: run.plan,
    proof: proofOf(
      hashFrozenWeights(run.checkpoint.weights, moving),
      hashFrozenWeights(checkpoint.weights, moving),
    ),
    engine: engine.name,
    features: figures,
    unit: sampleUnit(run.dataset),
    badImages: examples.bad,
    measured: {
      extractionSeconds: figures.seconds,
      epochSeconds: laterEpochSeconds(history),
      cacheBytes: figures.bytes,
      peakBytes: process.resourceUsage().maxRSS * 1024,
    },
    format: run.format,
    args: argumentsOf(run, options),
  };
}

/** The optimizer's own variables are of the weights before: they go. */
function tunedCheckpoint(run: PreparedRun, weights: Weights): Checkpoint {
  const tuned = withTrainableFlags(withWeights(run.checkpoint, weights), run.frozen);
  const { optimizerWeights: _stale, ...checkpoint } = tuned;
  return checkpoint;
}

/** Mean over the epochs after the first, which warms up; the first if there is no other. */
function laterEpochSeconds(history: History): number {
  const epochs = history.length > 1 ? history.slice(1) : history;
  return epochs.reduce((sum, { seconds }) => sum + seconds, 0) / epochs.length;
}

function argumentsOf(run: PreparedRun, options: FinetuneOptions): Record<string, unknown> {
  const { onProgress: _progress, signal: _signal, model, data, ...plain } = options;
  return {
    ...runDefaults,
    ...plain,
    model: typeof model === "string" ? model : "a checkpoint",
    data: typeof data === "string" ? data : "a dataset",
    bnMode: options.bnMode ?? "inference",
    loss: run.loss.name,
    optimizer: { class_name: run.optimizer.className, config: run.optimizer.settings },
    ...(run.picture && { imageSize: run.picture.imageSize, preprocess: run.picture.preprocess }),
  };
}
