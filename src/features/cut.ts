import type { Partition } from "../freeze/partition.ts";
import { partition } from "../freeze/partition.ts";
import type { FrozenSet } from "../freeze/policy.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { layersByPath } from "../topology/layer-graph.ts";
import { specOf } from "../topology/layer-specs.ts";
import { pushStrides } from "../topology/rewrites/push-strides.ts";

/** A model as it is run: strides pushed up, then cut. Layers keep their paths and weights. */
export interface CutModel {
  readonly graph: LayerGraph;
  readonly partition: Partition;
}

/**
 * The model with the positions that nobody reads left out, and the cut that the resolution makes in it. A layer on batch
 * statistics, or one that draws random numbers, keeps its positions.
 */
export function cutModel(graph: LayerGraph, resolution: FrozenSet): CutModel {
  const plain = partition(graph, resolution);
  const layers = layersByPath(graph);
  const { graph: pushed } = pushStrides(graph, {
    canPushThrough: (node) =>
      !plain.batchStatistics.has(node.layer) &&
      (plain.sides[node.index] === "static" || !specOf(layers.get(node.layer)!.className)?.random),
  });
  return { graph: pushed, partition: pushed === graph ? plain : partition(pushed, resolution) };
}
