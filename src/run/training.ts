import type { Checkpoint, Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { stagesOf } from "../topology/stages.ts";
import { withTrainableFlags } from "../topology/trainable-flags.ts";
import { bestWeights } from "../training/callbacks/best-weights.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import { plateauSettings, reduceOnPlateau, scheduled } from "../training/callbacks/learning-rate.ts";
import type { Monitor } from "../training/callbacks/monitor.ts";
import { monitorOf } from "../training/callbacks/monitor.ts";
import { patience } from "../training/callbacks/patience.ts";
import { progress } from "../training/callbacks/progress.ts";
import { timeLimit } from "../training/callbacks/time-limit.ts";
import { sampleCount } from "../training/example-set.ts";
import type { History } from "../training/history.ts";
import type { ScheduleHorizon } from "../training/schedules.ts";
import { scheduleOf, warmupSteps } from "../training/schedules.ts";
import { createTail } from "../training/tail.ts";
import type { TrainingPhase } from "../training/train.ts";
import { train } from "../training/train.ts";
import type { RunExamples } from "./features.ts";
import type { PreparedRun } from "./prepare.ts";

/** Outcome of training. */
export interface RunTraining {
  readonly history: History;
  /** Counted from 1; 0 where no epoch was completed. */
  readonly bestEpoch: number;
  /** The weights that training moved, as they were after the best epoch. */
  readonly weights: Weights;
  /** Error that ended the run before its last epoch, for the caller to throw once the results are saved. */
  readonly stopped?: unknown;
}

/**
 * Trains the tail on the features. `started` is when the run began, as `performance.now()` tells it.
 * @throws {UsageError} for options that need validation data where there is none.
 */
export async function runTraining(
  run: PreparedRun,
  examples: RunExamples,
  started: number,
): Promise<RunTraining> {
  const { epochs, batchSize, seed, signal, onProgress, maxTime, minDelta } = run.settings;
  const monitor = monitorFor(run, examples);
  const best = bestWeights(monitor);
  const callbacks = [
    ...examples.callbacks,
    best,
    ...(monitor && run.settings.patience !== null
      ? [patience(monitor, run.settings.patience, minDelta)]
      : []),
    ...(maxTime === null ? [] : [timeLimit(Number(maxTime), started)]),
    progress(
      best,
      (step) => onProgress({ kind: "step", epochs, ...step }),
      (epoch, isBest) => onProgress({ kind: "epoch", epoch, epochs, best: isBest }),
    ),
    ...run.settings.callbacks,
  ];
  try {
    const trained = await train([onlyPhase(run, examples, monitor)], {
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

/** Returns the figure that tells the best epoch, null where the last is the best: without validation data, unless asked otherwise. */
function monitorFor({ settings }: PreparedRun, { validation }: RunExamples): Monitor | null {
  const { monitor, patience: epochs, schedule } = settings;
  if (monitor !== "auto") {
    if (validation || !monitor.startsWith("val_")) return monitorOf(monitor);
    throw needsValidation("monitor");
  }
  if (validation) return monitorOf("val_loss");
  if (epochs !== null) throw needsValidation("patience");
  if (schedule === "plateau") throw needsValidation("schedule");
  return null;
}

function needsValidation(option: string): UsageError {
  const message = `${optionName(option)}: expected validation data, got none.`;
  return new UsageError(message, `${option}-without-validation`, option);
}

function onlyPhase(run: PreparedRun, examples: RunExamples, monitor: Monitor | null): TrainingPhase {
  const { graph, partition, optimizer, objective } = run;
  const { epochs, seed } = run.settings;
  return {
    epochs,
    open: (moved, firstStep) => {
      const tail = createTail({
        graph,
        partition,
        weights: withWeights(run.checkpoint, moved).weights,
        optimizer,
        rateFactors: rateFactors(run),
        objective,
        seed,
        firstStep,
      });
      return {
        tail,
        examples: examples.train,
        validation: examples.validation,
        callbacks: scheduleCallbacks(run, examples, monitor),
        close: () => tail.dispose(),
      };
    },
  };
}

/** Returns what sets the rate of the phase's steps; nothing where the optimizer does. */
function scheduleCallbacks(
  { settings, optimizer }: PreparedRun,
  { train: samples }: RunExamples,
  monitor: Monitor | null,
): readonly Callback[] {
  const { schedule, warmup, epochs, batchSize } = settings;
  const learningRate = optimizer.settings["learning_rate"];
  if (typeof learningRate !== "number" || (schedule === "constant" && warmup === 0)) return [];
  const steps = epochs * Math.ceil(sampleCount(samples) / batchSize);
  const horizon: ScheduleHorizon = { learningRate, steps, warmup };
  if (typeof schedule !== "string" && schedule["class_name"] === "ReduceLROnPlateau" && monitor) {
    const plateau = plateauSettings(schedule["config"] as Parameters<typeof plateauSettings>[0]);
    return [reduceOnPlateau(monitor, scheduleOf("plateau", horizon), warmupSteps(horizon), plateau)];
  }
  if (schedule === "plateau" && monitor) {
    const rate = scheduleOf("plateau", horizon);
    return [reduceOnPlateau(monitor, rate, warmupSteps(horizon), plateauSettings())];
  }
  return [scheduled(scheduleOf(schedule, horizon))];
}

/** Factors of the rate by layer: timm's layer decay, stage by stage from the head. */
function rateFactors({ settings, graph }: PreparedRun): ReadonlyMap<string, number> {
  const { layerDecay } = settings;
  if (layerDecay === null) return new Map();
  const { labels, labelOf } = stagesOf(graph);
  return new Map(
    graph.layers.map(({ path }) => {
      const stage = labelOf(path);
      const after = stage === null ? labels.length : labels.length - 1 - labels.indexOf(stage);
      return [path, layerDecay ** after] as const;
    }),
  );
}

/** Returns the model with its trained weights and flags. The optimizer's variables are of the weights before: they go. */
export function tunedCheckpoint(run: PreparedRun, weights: Weights): Checkpoint {
  const tuned = withTrainableFlags(withWeights(run.checkpoint, weights), run.frozen);
  const { optimizerWeights: _stale, ...checkpoint } = tuned;
  return checkpoint;
}
