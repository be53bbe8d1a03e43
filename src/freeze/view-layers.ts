import type { GraphLayer, GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { layerLookup } from "../topology/layer-graph.ts";
import { isRandomLayer } from "../topology/layer-specs.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { augmentsOneImage } from "../topology/specs/augmentation.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";

/** Returns whether a layer draws views of images where a model begins with it. */
export function drawsViews(layer: Pick<GraphLayer, "className" | "config">): boolean {
  if (layer.className === "Pipeline") return isRandomLayer(layer);
  return augmentsOneImage(layer.className);
}

/** Returns the calls of random image layers that no trainable weight comes before, by node index. */
export function drawingNodes(
  graph: LayerGraph,
  nodes: readonly GraphNode[] = graph.nodes,
): ReadonlySet<number> {
  const specs = weightSpecsOf(graph);
  const layerOf = layerLookup(graph);
  const behindWeights = new Set<number>();
  const drawing = new Set<number>();
  for (const node of nodes) {
    const isWeighted = specs.get(node.layer)?.some((spec) => spec.trainable) === true;
    if (isWeighted || everyRead(node).some((ref) => behindWeights.has(ref.node))) {
      behindWeights.add(node.index);
    } else if (drawsViews(layerOf(node.layer))) {
      drawing.add(node.index);
    }
  }
  return drawing;
}
