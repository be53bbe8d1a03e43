import type { GraphNode, LayerGraph } from "../topology/layer-graph.ts";
import { layersByPath } from "../topology/layer-graph.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";

/**
 * The calls that make a mask which travels beside a static tensor to a dynamic call (Masking, Embedding with `mask_zero`): a
 * frontier carries tensors and no masks. A mask travels as long as there is a second dimension to mask.
 */
export function crossingMasks(
  graph: LayerGraph,
  isStatic: (node: GraphNode) => boolean,
): ReadonlySet<number> {
  const layers = layersByPath(graph);
  const makers: ReadonlySet<number>[] = [];
  const crossing = new Set<number>();
  for (const node of graph.nodes) {
    const { className, config } = layers.get(node.layer)!;
    const inherited = everyRead(node).flatMap((ref) => [...makers[ref.node]!]);
    const makes = className === "Masking" || config["mask_zero"] === true;
    const rank = node.outputs[0]?.shape?.length ?? 3;
    makers.push(new Set(rank > 2 ? [...inherited, ...(makes ? [node.index] : [])] : []));
    if (isStatic(node)) continue;
    for (const ref of everyRead(node)) {
      if (isStatic(graph.nodes[ref.node]!)) for (const maker of makers[ref.node]!) crossing.add(maker);
    }
  }
  return crossing;
}
