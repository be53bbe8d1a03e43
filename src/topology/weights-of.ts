import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import { naming } from "./call-outputs.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "./layer-graph.ts";
import type { CallShapes, WeightSpec } from "./layer-spec.ts";
import { specOf } from "./layer-specs.ts";

/**
 * The weights of every layer that has some, by path, in the order of `graph.layers`, each in Keras 3's `layer.weights` order.
 * A layer without a spec, that cannot run or with unknown inputs is absent. @throws {TopologyError} naming a layer that cannot be built.
 */
export function weightSpecsOf(graph: LayerGraph): ReadonlyMap<string, readonly WeightSpec[]> {
  const firstNodes = new Map<string, GraphNode>();
  for (const node of graph.nodes) if (!firstNodes.has(node.layer)) firstNodes.set(node.layer, node);
  const weights = new Map<string, readonly WeightSpec[]>();
  for (const layer of graph.layers) {
    const node = firstNodes.get(layer.path);
    const call = node && callShapesOf(graph, layer, node);
    const spec = specOf(layer.className);
    const specs = call && !spec?.refusal?.(layer.config) && naming(layer.path, () => spec?.weights?.(call));
    if (specs && specs.length > 0) weights.set(layer.path, specs);
  }
  return weights;
}

/** What a spec is asked about one call of a layer; undefined where an input's shape is unknown. */
export function callShapesOf(graph: LayerGraph, layer: GraphLayer, node: GraphNode): CallShapes | undefined {
  const inputs = node.inputs.map((ref) => graph.nodes[ref.node]!.outputs[ref.output]!.shape);
  if (!inputs.every((shape): shape is Shape => shape !== null)) return undefined;
  return { config: layer.config, keras: layer.keras, inputs, args: node.args, kwargs: node.kwargs };
}

/** The number of values in these weights, as `model.count_params()` counts them. */
export function parameterCount(weights: Iterable<readonly WeightSpec[]>): number {
  let count = 0;
  for (const layer of weights) for (const weight of layer) count += elementCount(weight.shape);
  return count;
}
