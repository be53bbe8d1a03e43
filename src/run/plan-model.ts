import { withTextInput } from "../architectures/hub/text-preprocessor.ts";
import type { Checkpoint } from "../checkpoint.ts";
import { ensureEngine } from "../engine/backend.ts";
import { cutCheckpoint } from "../features/cut.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import { optimizerConfig, slotsPerWeight } from "../training/optimizer-config.ts";
import { engineConditions } from "./cost.ts";
import type { PlanFinetuneOptions } from "./plan-finetune.ts";
import { planCut } from "./plan-finetune.ts";
import { defaultOf, resolveSome } from "./settings.ts";

/** Number of samples that a plan without data is of. */
export const plannedSamples = 1000;

/**
 * Returns what a run on this checkpoint would freeze, where it would be cut, and what an epoch of 1,000 samples would cost on this machine
 * by the speed of its engine, with Adam and samples that take no time to read.
 * @throws {UsageError} if a policy matches nothing or freezes everything.
 */
export async function planWithCost(
  checkpoint: Checkpoint,
  options: PlanFinetuneOptions = {},
): Promise<FinetunePlan> {
  const { freeze, bnMode } = resolveSome(["freeze", "bnMode"], options);
  const engine = await ensureEngine();
  const { model, resolution, cut } = cutCheckpoint(withTextInput(checkpoint), {
    freeze: freeze === "auto" ? undefined : freeze,
    bnMode,
  });
  return planCut(model, cut, resolution, {
    cost: {
      ...(await engineConditions(engine)),
      trainSamples: plannedSamples,
      validationSamples: 0,
      batchSize: defaultOf("batchSize") as number,
      optimizerSlots: slotsPerWeight(optimizerConfig("Adam")),
    },
  });
}
