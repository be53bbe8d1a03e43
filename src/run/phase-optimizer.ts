import { UsageError } from "../errors.ts";
import type { CutModel } from "../features/cut.ts";
import { optionName } from "../options.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { optimizerConfig } from "../training/optimizer-config.ts";
import { weightPenalties, weightRules } from "../training/weight-rules.ts";
import type { AskedPhase } from "./recipes.ts";
import { newLayerRate } from "./recipes.ts";
import type { RunSettings } from "./settings.ts";

/** Refuses what the training would refuse, before anything is extracted. */
export function requireTrainable({ graph, partition }: CutModel): void {
  weightRules(graph, partition);
  weightPenalties(graph, partition.trainableWeights);
}

const usualRate = 1e-4;

/**
 * Returns the optimizer of a phase with the run's options over its own, its rate 1e-3 where only new layers train, else 1e-4.
 * @throws {UsageError} for a schedule of the run beside one of the optimizer.
 */
export function optimizerOf(
  settings: RunSettings,
  { learningRate, schedule, warmup }: AskedPhase,
  { partition }: CutModel,
  newLayers: readonly string[],
): OptimizerConfig {
  const onlyNew = [...partition.trainableWeights.keys()].every((path) => newLayers.includes(path));
  const optimizer = optimizerConfig(
    settings.optimizer,
    {
      learningRate: learningRate === "auto" ? undefined : learningRate,
      momentum: settings.momentum ?? undefined,
      weightDecay: settings.weightDecay ?? undefined,
      clipNorm: settings.clipNorm ?? undefined,
      clipValue: settings.clipValue ?? undefined,
      globalClipNorm: settings.globalClipNorm ?? undefined,
      accumulate: settings.accumulate,
      ema: settings.ema ?? undefined,
    },
    onlyNew ? newLayerRate : usualRate,
  );
  const isScheduled = typeof optimizer.settings["learning_rate"] !== "number";
  if (isScheduled && (schedule !== "constant" || warmup > 0)) {
    const option = schedule === "constant" ? "warmup" : "schedule";
    throw new UsageError(
      `${optionName(option)}: expected an optimizer whose rate is a number, got ${optimizer.className} with a schedule of its own. Remove one of the two.`,
      "two-schedules",
      option,
    );
  }
  return optimizer;
}
