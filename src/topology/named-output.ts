import type { LayerGraph } from "./layer-graph.ts";
import { layerAt } from "./layer-graph.ts";

/** Whether the model's one output is what a lookup names: texts, or the whole numbers of an inverted IntegerLookup. */
export function looksUpItsOutput(graph: LayerGraph): boolean {
  const [output, ...more] = graph.outputs;
  if (!output || more.length > 0) return false;
  const node = graph.nodes[output.ref.node]!;
  if (node.outputs[output.ref.output]!.dtype === "string") return true;
  const { className, config } = layerAt(graph, node.layer);
  return className === "IntegerLookup" && config["invert"] === true;
}
