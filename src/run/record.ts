import { withoutTextInput } from "../architectures/hub/text-preprocessor.ts";
import { sampleUnit } from "../data/dataset.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { gpuPeakBytes } from "../engine/webgpu/buffers.ts";
import type { History } from "../training/history.ts";
import { argumentsOf } from "./arguments.ts";
import type { RunFeatures } from "./features.ts";
import type { RunRecord } from "./folder.ts";
import type { PreparedRun } from "./prepared-run.ts";
import { hashFrozenWeights, proofOf } from "./proof.ts";
import type { RunTraining } from "./training.ts";
import { tunedCheckpoint } from "./training.ts";

/** Returns what the run leaves, which began at `started` as `performance.now()` tells it: the tuned checkpoint with its flags, what it cost, and the proof that the rest did not move. */
export function runRecord(
  run: PreparedRun,
  engine: EngineInfo,
  features: RunFeatures,
  { history, bestEpoch, weights, optimizer, proofs }: RunTraining,
  started: number,
): RunRecord {
  const checkpoint = tunedCheckpoint(run, weights, history.at(-1)?.phase, optimizer);
  const moving = new Map([...weights].map(([path, layer]) => [path, new Set(layer.map(({ name }) => name))]));
  const figures = features.figures();
  return {
    checkpoint: withoutTextInput(checkpoint),
    history,
    bestEpoch,
    plan: run.plan,
    task: run.task,
    proof: proofOf(
      hashFrozenWeights(run.checkpoint.weights, moving),
      hashFrozenWeights(checkpoint.weights, moving),
    ),
    phases: proofs.map((own) => ({ plan: run.phases[own.phase - 1]?.plan ?? run.plan, ...own })),
    engine: engine.name,
    threads: engine.threads,
    precision: engine.precision,
    features: figures,
    unit: sampleUnit(run.dataset),
    bad: features.bad(),
    duplicates: features.duplicates(),
    warnings: run.warnings,
    measured: {
      extractionSeconds: figures.seconds,
      epochSeconds: laterEpochSeconds(history),
      cacheBytes: run.plan.cost?.cacheBytes === 0 ? 0 : figures.bytes,
      runSeconds: (performance.now() - started) / 1000,
      peakBytes: process.resourceUsage().maxRSS * 1024,
      ...(engine.name === "webgpu" && { gpuBytes: gpuPeakBytes() }),
    },
    writing: run.writing,
    args: argumentsOf(run.settings),
  };
}

/** Returns the mean seconds of the epochs after the first, which warms up; the first epoch's if there is no other. */
function laterEpochSeconds(history: History): number {
  const epochs = history.length > 1 ? history.slice(1) : history;
  return epochs.reduce((sum, { seconds }) => sum + seconds, 0) / epochs.length;
}
