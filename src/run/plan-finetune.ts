import type { BatchNormMode, Checkpoint } from "../checkpoint.ts";
import type { CutModel } from "../features/cut.ts";
import { cutModel } from "../features/cut.ts";
import { partition } from "../freeze/partition.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import type { PlanOptions } from "../freeze/plan-freeze.ts";
import { planFreeze } from "../freeze/plan-freeze.ts";
import type { FreezePolicy, FreezeResolution } from "../freeze/policy.ts";
import { resolveFreeze } from "../freeze/resolve.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { withActivityPenalties } from "../topology/rewrites/activity-penalties.ts";
import { requireSupported } from "../topology/support.ts";

export interface PlanFinetuneOptions {
  readonly freeze?: FreezePolicy | readonly FreezePolicy[];
  readonly bnMode?: BatchNormMode;
}

/**
 * What a run on this checkpoint would freeze and where it is cut. Nothing is computed on tensors.
 * @throws {UsageError} where a policy matches nothing or freezes everything.
 */
export function planFinetune(checkpoint: Checkpoint, options: PlanFinetuneOptions = {}): FinetunePlan {
  const graph = layerGraph(checkpoint);
  requireSupported(graph);
  const resolution = resolveFreeze(graph, options.freeze, {
    bnMode: options.bnMode ?? "inference",
    newLayers: checkpoint.notes.newLayers ?? [],
  });
  const cut = cutModel(withActivityPenalties(graph, checkpoint.kerasVersion), resolution);
  return planCut(graph, cut, resolution);
}

/** The plan by the model's own layers, with the frontier and the cost as they are computed and kept. */
export function planCut(
  graph: LayerGraph,
  cut: CutModel,
  resolution: FreezeResolution,
  options: PlanOptions = {},
): FinetunePlan {
  const { imageSize } = options;
  const plan = planFreeze(graph, resolution, partition(graph, resolution), {
    ...(imageSize && { imageSize }),
  });
  const { frontier, cost } = planFreeze(cut.graph, resolution, cut.partition, options);
  return { ...plan, frontier, ...(cost && { cost }) };
}
