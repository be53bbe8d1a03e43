import type { Checkpoint, Weights } from "../checkpoint.ts";
import { withWeights } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { localFolderOf } from "../features/cache/cache-directory.ts";
import { withValues } from "../lazy-tensor.ts";
import { optionName } from "../options.ts";
import { compiledConfig } from "../task/compiled-config.ts";
import { dialectOf } from "../topology/dialects/dialect.ts";
import { withTrainableFlags } from "../topology/trainable-flags.ts";
import type { PhaseOptimizer } from "../training/callbacks/best-weights.ts";
import { bestWeights } from "../training/callbacks/best-weights.ts";
import type { Monitor } from "../training/callbacks/monitor.ts";
import { monitorOf } from "../training/callbacks/monitor.ts";
import { progress } from "../training/callbacks/progress.ts";
import { patience, timeLimit } from "../training/callbacks/stopping.ts";
import type { History } from "../training/history.ts";
import { kerasOptimizer } from "../training/optimizer-config.ts";
import { optimizerVariables, writtenLayout } from "../training/optimizer-variables.ts";
import type { TrainingState } from "../training/state.ts";
import { judgedWeights } from "../training/state.ts";
import type { TensorStore } from "../training/tensor-store.ts";
import { tensorStore } from "../training/tensor-store.ts";
import type { TrainingPhase } from "../training/train.ts";
import { train } from "../training/train.ts";
import type { RunFeatures } from "./features.ts";
import { openPhase } from "./open-phase.ts";
import type { PhaseExamples } from "./phase-examples.ts";
import type { PreparedPhase } from "./phases.ts";
import type { PreparedRun } from "./prepared-run.ts";
import type { PhaseProof } from "./proof.ts";
import { hashFrozenWeights, proofKeeper } from "./proof.ts";
import type { RunStart } from "./resume.ts";

/** Outcome of training. */
export interface RunTraining {
  readonly history: History;
  /** Counted from 1; 0 where no epoch was completed. */
  readonly bestEpoch: number;
  /** The weights that training moved, as they were after the best epoch. */
  readonly weights: Weights;
  /** The optimizer as it was then; null where no epoch was completed. */
  readonly optimizer: PhaseOptimizer | null;
  /** One for each phase that was trained. */
  readonly proofs: readonly PhaseProof[];
  /** Error that ended the run before its last epoch, for the caller to throw once the results are saved. */
  readonly stopped?: unknown;
}

/**
 * Trains the phases on the features. `started` is when the run began, as `performance.now()` tells it.
 * @throws {UsageError} for options that need validation data where there is none.
 */
export async function runTraining(
  run: PreparedRun,
  features: RunFeatures,
  started: number,
  { from, planned, saver }: RunStart,
): Promise<RunTraining> {
  const { epochs, batchSize, seed, signal, onProgress, maxTime, minDelta } = run.settings;
  const first = firstPhase(run, from);
  let opened: PhaseExamples | null = await features.open(first.phase, first.moved, first.epoch);
  const monitor = monitorFor(run, opened);
  const newStore = (): TensorStore => tensorStore(localFolderOf(run.settings.cache));
  const best = bestWeights(monitor, newStore());
  const proofs = proofKeeper((training) => (moving) => {
    const snapshot = training.snapshot();
    try {
      return hashFrozenWeights(withWeights(run.checkpoint, snapshot.held()).weights, moving);
    } finally {
      snapshot.dispose();
    }
  });
  const phases = run.phases.map(
    (phase): TrainingPhase => ({
      epochs: phase.epochs,
      open: async (moved, steps, epoch) => {
        const examples = opened ?? (await features.open(phase, moved, epoch));
        opened = null;
        return openPhase(run, phase, examples, { moved, steps, monitor, planned, proofs });
      },
    }),
  );
  const callbacks = [
    best,
    ...(monitor && run.settings.patience !== null
      ? [patience(monitor, run.settings.patience, minDelta)]
      : []),
    ...(maxTime === null ? [] : [timeLimit(Number(maxTime), started)]),
    proofs.callback,
    progress(
      best,
      (step) => onProgress({ kind: "step", epochs, ...step }),
      (epoch, isBest) => onProgress({ kind: "epoch", epoch, epochs, best: isBest }),
    ),
    ...run.settings.callbacks,
    ...(saver ? [saver] : []),
  ];
  try {
    const trained = await train(phases, {
      batchSize,
      seed,
      callbacks,
      checkpointOf: (weights, phase) => {
        const tuned = tunedCheckpoint(run, weights, phase);
        return { ...tuned, weights: withValues(tuned.weights) };
      },
      keep: (moved) => newStore().keep(moved),
      from: from ?? undefined,
      signal: signal ?? undefined,
    });
    return {
      ...trained,
      bestEpoch: best.epoch,
      weights: best.weights() ?? trained.weights,
      optimizer: best.optimizer(),
      proofs: proofs.phases(),
    };
  } finally {
    best.dispose();
  }
}

/** Returns the phase that is trained first, what has been moved before, and its first epoch. */
function firstPhase(
  { phases }: PreparedRun,
  from: TrainingState | null,
): { readonly phase: PreparedPhase; readonly moved: Weights; readonly epoch: number } {
  const [begun, ...others] = phases.slice((from?.counts.phase ?? 1) - 1) as [
    PreparedPhase,
    ...PreparedPhase[],
  ];
  if (!from) return { phase: begun, moved: new Map(), epoch: 1 };
  const { phaseEpochs, epochs, ended } = from.counts;
  const [next] = others;
  if (next && (ended === "phase" || phaseEpochs >= begun.epochs)) {
    return { phase: next, moved: judgedWeights(from), epoch: epochs + 1 };
  }
  return { phase: begun, moved: from.weights, epoch: epochs + 1 - phaseEpochs };
}

/** Returns the figure that tells the best epoch, null where the last is the best: without validation data, unless asked otherwise. */
function monitorFor(
  { settings, phases, objective }: PreparedRun,
  { validation }: PhaseExamples,
): Monitor | null {
  const { monitor, patience: epochs } = settings;
  if (monitor !== "auto") {
    const metrics = objective.outputs.flatMap((output) => [...output.metrics, ...output.weightedMetrics]);
    if (validation || !monitor.startsWith("val_")) return monitorOf(monitor, metrics);
    throw needsValidation("monitor");
  }
  if (validation) return monitorOf("val_loss");
  if (epochs !== null) throw needsValidation("patience");
  if (phases.some(({ schedule }) => schedule === "plateau")) throw needsValidation("schedule");
  return null;
}

function needsValidation(option: string): UsageError {
  const message = `${optionName(option)}: expected validation data, got none.`;
  return new UsageError(message, `${option}-without-validation`, option);
}

/**
 * Returns the model with its trained weights, the flags of a phase, the last by default, and compiled with its optimizer. `optimizer`
 * gives the optimizer's variables, where it is of that phase.
 */
export function tunedCheckpoint(
  run: PreparedRun,
  weights: Weights,
  phase: number = run.phases.length,
  optimizer: PhaseOptimizer | null = null,
): Checkpoint {
  const own = run.phases[phase - 1] ?? (run.phases.at(-1) as PreparedPhase);
  const { optimizerWeights: _stale, ...tuned } = withTrainableFlags(
    withWeights(run.checkpoint, weights),
    own.frozen,
  );
  if (!tuned.trainingConfig) return tuned;
  const { trainingConfig } = compiledConfig(
    run.task,
    kerasOptimizer(own.optimizer),
    dialectOf(tuned),
    tuned.kerasVersion,
  );
  const layout = writtenLayout(tuned, own.optimizer, run.settings.outputFormat);
  return {
    ...tuned,
    ...(trainingConfig && { trainingConfig }),
    ...(layout &&
      optimizer?.phase === own.number && {
        optimizerWeights: optimizerVariables(tuned, own.optimizer, optimizer.state, layout),
      }),
  };
}
