import { withTextInput } from "../architectures/hub/text-preprocessor.ts";
import type { BatchNormMode, Checkpoint } from "../checkpoint.ts";
import type { CutModel } from "../features/cut.ts";
import { cutCheckpoint } from "../features/cut.ts";
import { partition } from "../freeze/partition.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { PlanOptions } from "../freeze/plan-freeze.ts";
import { planFreeze } from "../freeze/plan-freeze.ts";
import type { FreezePolicy, FreezeResolution } from "../freeze/policy.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { resolveSome } from "./settings.ts";

export interface PlanFinetuneOptions {
  readonly freeze?: FreezePolicy | readonly FreezePolicy[] | undefined;
  readonly bnMode?: BatchNormMode | undefined;
}

/**
 * Returns what a run on this checkpoint would freeze and where it would be cut. Nothing is computed on tensors.
 * @throws {UsageError} if a policy matches nothing or freezes everything.
 * @example
 * ```ts
 * const model = await readCheckpoint("resnet50.h5", { weights: false });
 * const plan = planFinetune(model, { freeze: freezeUntil("conv5_block1_1_conv") });
 * console.log(plan.firstTrainable, plan.parameters.trainable, plan.frontier);
 * ```
 */
export function planFinetune(checkpoint: Checkpoint, options: PlanFinetuneOptions = {}): FinetunePlan {
  const { freeze, bnMode } = resolveSome(["freeze", "bnMode"], options);
  const { model, resolution, cut } = cutCheckpoint(withTextInput(checkpoint), {
    freeze: freeze === "auto" ? undefined : freeze,
    bnMode,
  });
  return planCut(model, cut, resolution);
}

/** Returns the plan by the model's own layers, with the frontier and the cost of what runs. */
export function planCut(
  graph: LayerGraph,
  cut: CutModel,
  resolution: FreezeResolution,
  options: PlanOptions = {},
): FinetunePlan {
  const { imageSize, augmentation } = options;
  const plan = planFreeze(graph, resolution, partition(graph, resolution), {
    ...(imageSize && { imageSize }),
    augmentation,
  });
  const { frontier, cost } = planFreeze(cut.graph, resolution, cut.partition, options);
  return { ...plan, frontier, ...(cost && { cost }) };
}
