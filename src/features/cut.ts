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
  const { model, phases } = cutPhases(checkpoint, [asked]);
  const { resolution, cut } = phases[0]!;
  return { model, resolution, cut };
}

/** A checkpoint as it is trained in phases, each with a cut of its own in one graph. */
export interface PhasedModel {
  /** The model's own layers, as the plan lists them. */
  readonly model: LayerGraph;
  readonly phases: readonly { readonly resolution: FreezeResolution; readonly cut: CutModel }[];
  /** Paths of the layers that are frozen in every phase. */
  readonly frozen: ReadonlySet<string>;
  /** The cut before all others: what no phase trains runs once. */
  readonly earliest: CutModel;
}

/**
 * Returns the checkpoint's graph and the cut of each phase in it.
 * @throws {UsageError} for a policy that matches nothing or freezes everything.
 * @throws {TopologyError} for a layer that cannot be computed here.
 */
export function cutPhases(checkpoint: Checkpoint, asked: readonly CutQuestion[]): PhasedModel {
  const [first] = asked;
  if (!first) throw new Error("cut: no phases");
  const model = layerGraph(checkpoint);
  requireSupported(model);
  const newLayers = checkpoint.notes.newLayers ?? [];
  const resolutions = asked.map(({ freeze, bnMode, views = false, headIsNew }) =>
    resolveFreeze(model, freeze, { bnMode, newLayers, views, ...(headIsNew !== undefined && { headIsNew }) }),
  );
  const frozen = new Set(
    [...resolutions[0]!.frozen].filter((path) => resolutions.every((each) => each.frozen.has(path))),
  );
  const graph = withActivityPenalties(model, first.kerasVersion ?? checkpoint.kerasVersion);
  const own = resolutions.findIndex((resolution) => resolution.frozen.size === frozen.size);
  const common: FrozenSet = { frozen, bnMode: first.bnMode, newLayers: new Set(newLayers) };
  const cuts = cutModels(graph, own < 0 ? [...resolutions, common] : resolutions);
  return {
    model,
    phases: resolutions.map((resolution, index) => ({ resolution, cut: cuts[index]! })),
    frozen,
    earliest: own < 0 ? cuts.at(-1)! : cuts[own]!,
  };
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
