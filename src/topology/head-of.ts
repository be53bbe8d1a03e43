import type { GraphLayer, LayerGraph } from "./layer-graph.ts";
import { layerAt } from "./layer-graph.ts";
import { weightSpecsOf } from "./weights-of.ts";

/** The last weighted layer before an output, and what follows it. */
export interface Head {
  readonly path: string;
  /** Paths of the weightless layers from it to the output, in order. */
  readonly tail: readonly string[];
  /** Whether the layer is called more than once. */
  readonly shared: boolean;
}

/** The head of a model with one output; null where it has several, or where the way to it merges before a weighted layer. */
export function headOf(graph: LayerGraph): Head | null {
  return graph.outputs.length === 1 ? headBefore(graph, 0) : null;
}

/** The head of each output; null where one has none. */
export function headsOf(graph: LayerGraph): readonly Head[] | null {
  const heads = graph.outputs.map((_, index) => headBefore(graph, index));
  return heads.every((head) => head !== null) && heads.length > 0 ? heads : null;
}

function headBefore(graph: LayerGraph, output: number): Head | null {
  const specs = weightSpecsOf(graph);
  const tail: string[] = [];
  let node = graph.nodes[graph.outputs[output]!.ref.node]!;
  while (!specs.has(node.layer)) {
    if (node.inputs.length !== 1) return null;
    tail.unshift(node.layer);
    node = graph.nodes[node.inputs[0]!.node]!;
  }
  const calls = graph.nodes.filter((candidate) => candidate.layer === node.layer).length;
  return { path: node.layer, tail, shared: calls > 1 };
}

/** The layer and config of a head's last activation: what turns its scores into the output. */
export function activationOf(graph: LayerGraph, head: Head): string {
  const own = layerAt(graph, head.path).config["activation"];
  const named = [head.path, ...head.tail].map((path) => layerAt(graph, path)).flatMap(activationName);
  return (
    named.findLast((name) => name !== "linear") ?? (own === undefined ? "linear" : String(own ?? "linear"))
  );
}

function activationName(layer: GraphLayer): string[] {
  if (layer.className === "Softmax") return ["softmax"];
  if (layer.className === "ReLU") return ["relu"];
  const activation = layer.config["activation"];
  return typeof activation === "string" ? [activation] : [];
}
