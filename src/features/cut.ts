import type { BatchNormMode, Checkpoint } from "../checkpoint.ts";
import type { Partition } from "../freeze/partition.ts";
import { partition } from "../freeze/partition.ts";
import type { FreezePolicy, FreezeResolution, FrozenSet } from "../freeze/policy.ts";
import { resolveFreeze } from "../freeze/resolve.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { layerLookup } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import { withActivityPenalties } from "../topology/rewrites/activity-penalties.ts";
import { pushStrides } from "../topology/rewrites/push-strides.ts";
import { requireSupported } from "../topology/support.ts";

/** A model as it is run: strides pushed up, then cut. Layers keep their paths and weights. */
export interface CutModel {
  readonly graph: LayerGraph;
  readonly partition: Partition;
}

/** A checkpoint as it is trained: its own graph, who is frozen in it, and the cut that follows. */
export interface FrozenModel {
  /** The model's own layers, as the plan lists them. */
  readonly model: LayerGraph;
  readonly resolution: FreezeResolution;
  /** The graph that runs, and its cut. */
  readonly cut: CutModel;
}

export interface CutQuestion {
  /** Undefined for the default: all but a new head, else the flags in the file. */
  readonly freeze: FreezePolicy | readonly FreezePolicy[] | undefined;
  readonly bnMode: BatchNormMode;
  /** True if this run made the head; by default, whether the checkpoint notes new layers. */
  readonly headIsNew?: boolean;
  /** True if the random image layers that the model begins with draw views. */
  readonly views?: boolean;
  /** The Keras whose training is meant, where it is not the one of the checkpoint's dialect. */
  readonly kerasVersion?: string;
}

/**
 * Returns the checkpoint's graph, who is frozen in it, and its static and dynamic parts.
 * @throws {UsageError} for a policy that matches nothing or freezes everything.
 * @throws {TopologyError} for a layer that cannot be computed here.
 */
export function cutCheckpoint(checkpoint: Checkpoint, asked: CutQuestion): FrozenModel {
  const model = layerGraph(checkpoint);
  requireSupported(model);
  const resolution = resolveFreeze(model, asked.freeze, {
    bnMode: asked.bnMode,
    newLayers: checkpoint.notes.newLayers ?? [],
    views: asked.views ?? false,
    ...(asked.headIsNew !== undefined && { headIsNew: asked.headIsNew }),
  });
  const graph = withActivityPenalties(model, asked.kerasVersion ?? checkpoint.kerasVersion);
  return { model, resolution, cut: cutModel(graph, resolution) };
}

/** Returns the model without the positions that nobody reads, and the cut that the resolution makes in it. */
export function cutModel(graph: LayerGraph, resolution: FrozenSet): CutModel {
  const [only] = cutModels(graph, [resolution]);
  return only!;
}

/**
 * Returns one graph with several cuts in it, in the order of the resolutions: tensors of one cut are tensors of the others too. A
 * layer that is on batch statistics, or draws random numbers, in any of the cuts keeps its positions.
 */
export function cutModels(graph: LayerGraph, resolutions: readonly FrozenSet[]): readonly CutModel[] {
  const plain = resolutions.map((resolution) => partition(graph, resolution));
  const layerOf = layerLookup(graph);
  const isRandom = (node: GraphNode): boolean => specOf(layerOf(node.layer).className)?.random === true;
  const { graph: pushed } = pushStrides(graph, {
    canPushThrough: (node) =>
      plain.every(
        ({ batchStatistics, sides }) =>
          !batchStatistics.has(node.layer) && (sides[node.index] === "static" || !isRandom(node)),
      ),
  });
  const cuts = pushed === graph ? plain : resolutions.map((resolution) => partition(pushed, resolution));
  return cuts.map((own) => ({ graph: pushed, partition: own }));
}
