import type { Checkpoint, Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { withTrainableFlags } from "../topology/trainable-flags.ts";
import { bestWeights } from "../training/callbacks/best-weights.ts";
import { monitorOf } from "../training/callbacks/monitor.ts";
import { patience } from "../training/callbacks/patience.ts";
import { progress } from "../training/callbacks/progress.ts";
import type { History } from "../training/history.ts";
import { createTail } from "../training/tail.ts";
import type { TrainingPhase } from "../training/train.ts";
import { train } from "../training/train.ts";
import type { RunExamples } from "./features.ts";
import type { PreparedRun } from "./prepare.ts";

/** What training has come to. */
export interface RunTraining {
  readonly history: History;
  /** Counted from 1; 0 where no epoch was completed. */
  readonly bestEpoch: number;
  /** The weights that training moved, as they were after the best epoch. */
  readonly weights: Weights;
  /** What ended the run before its last epoch, for the caller to throw once the rest is safe. */
  readonly stopped?: unknown;
}

/**
 * Trains the tail on the features.
 * @throws {UsageError} for `patience` without validation data.
 */
export async function runTraining(run: PreparedRun, examples: RunExamples): Promise<RunTraining> {
  const { epochs, batchSize, seed, signal, onProgress } = run.settings;
  if (run.settings.patience !== null && !examples.validation) {
    const code = "patience-without-validation";
    throw new UsageError(`${optionName("patience")}: expected validation data, got none.`, code, "patience");
  }
  const monitor = examples.validation ? monitorOf("val_loss") : null;
  const best = bestWeights(monitor);
  const callbacks = [
    ...examples.callbacks,
    best,
    ...(monitor && run.settings.patience !== null ? [patience(monitor, run.settings.patience)] : []),
    progress(
      best,
      (step) => onProgress({ kind: "step", epochs, ...step }),
      (epoch, isBest) => onProgress({ kind: "epoch", epoch, epochs, best: isBest }),
    ),
    ...run.settings.callbacks,
  ];
  try {
    const trained = await train([onlyPhase(run, examples)], {
      batchSize,
      seed,
      callbacks,
      checkpointOf: (weights) => tunedCheckpoint(run, weights),
      signal: signal ?? undefined,
    });
    return { ...trained, bestEpoch: best.epoch, weights: best.weights() ?? trained.weights };
  } finally {
    best.dispose();
  }
}

function onlyPhase(run: PreparedRun, examples: RunExamples): TrainingPhase {
  const { graph, partition, optimizer, loss } = run;
  const { epochs, seed, learningRate } = run.settings;
  const { weights, kerasVersion } = run.checkpoint;
  return {
    epochs,
    open: () => {
      const tail = createTail({ graph, partition, weights, optimizer, loss, seed, kerasVersion });
      return {
        tail,
        examples: examples.train,
        validation: examples.validation,
        learningRate,
        callbacks: [],
        close: () => tail.dispose(),
      };
    },
  };
}

/** Returns the model with its trained weights and flags. The optimizer's variables are of the weights before: they go. */
export function tunedCheckpoint(run: PreparedRun, weights: Weights): Checkpoint {
  const tuned = withTrainableFlags(withWeights(run.checkpoint, weights), run.frozen);
  const { optimizerWeights: _stale, ...checkpoint } = tuned;
  return checkpoint;
}
