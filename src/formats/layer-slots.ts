import type { Checkpoint } from "../checkpoint.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { WeightSpec } from "../topology/layer-spec.ts";
import { specOf } from "../topology/layer-specs.ts";
import { hasWeightedActivation } from "../topology/support.ts";
import { orUndefined } from "../topology/translate/known-tensors.ts";
import { callShapesOf } from "../topology/weights-of.ts";
import { modelTree, type TreeNode } from "./model-tree.ts";

/**
 * A layer with the weights it should have, in the order of Keras 3's `layer.weights`; undefined if they are unknown.
 */
export interface LayerSlots {
  readonly path: string;
  readonly name: string;
  /** True if its own flag and those of all models around it are true. */
  readonly trainable: boolean;
  readonly weights: readonly WeightSpec[] | undefined;
}

/**
 * Returns the layers of a model by path, in config order. A file can be read even if its model cannot be run: an
 * unknown layer, or one that cannot be built, has unknown weights, and so has every layer if the graph itself is
 * invalid.
 */
export function layerSlots(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
): ReadonlyMap<string, LayerSlots> {
  const known = knownWeights(checkpoint);
  const slots = new Map<string, LayerSlots>();
  const visit = (node: TreeNode, trainable: boolean): void => {
    // A Sequential drops its own flag when Keras reads it.
    const inherited = trainable && (node.trainable || node.className === "Sequential");
    for (const child of node.children ?? []) visit(child, inherited);
    if (node.children || node.isOp || node.className === "InputLayer") return;
    const { path, name } = node;
    slots.set(path, { path, name, trainable: trainable && node.trainable, weights: known.get(path) });
  };
  visit(modelTree(checkpoint.modelConfig), true);
  return slots;
}

function knownWeights(
  checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">,
): ReadonlyMap<string, readonly WeightSpec[]> {
  const known = new Map<string, readonly WeightSpec[]>();
  const graph = orUndefined(() => layerGraph(checkpoint));
  if (!graph) return known;
  for (const layer of graph.layers) {
    const weights = orUndefined(() => weightsOf(graph, layer.path));
    if (weights) known.set(layer.path, weights);
  }
  return known;
}

function weightsOf(graph: LayerGraph, path: string): readonly WeightSpec[] | undefined {
  const layer = graph.layers.find((candidate) => candidate.path === path)!;
  const spec = specOf(layer.className);
  if (!spec || hasWeightedActivation(layer.config)) return undefined;
  if (!spec.weights) return [];
  const node = graph.nodes.find((candidate) => candidate.layer === path);
  const call = node && callShapesOf(graph, layer, node);
  return call && spec.weights(call);
}
