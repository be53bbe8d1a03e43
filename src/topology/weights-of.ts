import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import { withErrorPrefix } from "./call-outputs.ts";
import { type GraphLayer, type GraphNode, type LayerGraph, tensorAt } from "./layer-graph.ts";
import { type CallShapes, inputShapes, type WeightSpec } from "./layer-spec.ts";
import { specOf } from "./layer-specs.ts";

/**
 * Returns the weights of all layers by path, in the order of `graph.layers` and of Keras 3's `layer.weights`. Layers
 * without weights are absent, as are layers that have no spec, cannot be computed or have inputs of unknown shape.
 * @throws {TopologyError} naming the layer that cannot be built on its inputs.
 */
export function weightSpecsOf(graph: LayerGraph): ReadonlyMap<string, readonly WeightSpec[]> {
  const firstNodes = new Map<string, GraphNode>();
  for (const node of graph.nodes) if (!firstNodes.has(node.layer)) firstNodes.set(node.layer, node);
  const weights = new Map<string, readonly WeightSpec[]>();
  for (const layer of graph.layers) {
    const node = firstNodes.get(layer.path);
    const call = node && callShapesOf(graph, layer, node);
    const spec = specOf(layer.className);
    const specs =
      call && !spec?.refusal?.(layer.config) && withErrorPrefix(layer.path, () => spec?.weights?.(call));
    if (specs && specs.length > 0) weights.set(layer.path, specs);
  }
  return weights;
}

/** Returns the shapes and arguments of a call for its spec, undefined if the shape of an input is unknown. */
export function callShapesOf(graph: LayerGraph, layer: GraphLayer, node: GraphNode): CallShapes | undefined {
  const inputs = node.inputs.map((ref) => tensorAt(graph, ref).shape);
  if (!inputs.every((shape): shape is Shape => shape !== null)) return undefined;
  const { config, keras } = layer;
  return { config, keras, inputs: inputShapes(inputs), args: node.args, kwargs: node.kwargs };
}

/** Counts the values in all these weights, as `model.count_params()` does. */
export function parameterCount(weights: Iterable<readonly WeightSpec[]>): number {
  let count = 0;
  for (const layer of weights) for (const weight of layer) count += elementCount(weight.shape);
  return count;
}
