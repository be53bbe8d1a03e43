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

/** A head that gives class scores. */
export interface Classifier {
  readonly head: Head;
  /** `units` or `filters`. */
  readonly units: number;
  /** Keras's name of what makes the scores the output: `softmax`, `sigmoid` or `linear`. */
  readonly activation: string;
  /** Two for a lone sigmoid unit, else the units. */
  readonly classes: number;
}

/**
 * The head as a classifier: a Dense or a convolution behind which nothing but softmax, sigmoid or nothing stands, and an output
 * of one row a sample. Null for any other output.
 */
export function classifierOf(graph: LayerGraph): Classifier | null {
  const head = headOf(graph);
  if (!head) return null;
  const layer = layerAt(graph, head.path);
  const output = graph.outputs[0]!.ref;
  const shape = graph.nodes[output.node]!.outputs[output.output]!.shape;
  const units = layer.config[layer.className === "Dense" ? "units" : "filters"];
  const activation = activationOf(graph, head);
  if (!/^(?:Dense|Conv[123]D)$/u.test(layer.className) || typeof units !== "number") return null;
  if (shape?.length !== 2 || shape[1] !== units) return null;
  if (activation !== "softmax" && activation !== "sigmoid" && activation !== "linear") return null;
  return { head, units, activation, classes: units === 1 && activation === "sigmoid" ? 2 : units };
}

/** The last activation of the head and its tail that is not linear. */
function activationOf(graph: LayerGraph, head: Head): string {
  const layers = [head.path, ...head.tail].map((path) => layerAt(graph, path));
  return layers.map(activationName).findLast((name) => name !== "linear") ?? "linear";
}

/** What a layer does to each value: `linear` for one that only moves or drops values. */
export function activationName(layer: GraphLayer): string {
  const own = layer.config["activation"];
  if (own !== undefined && own !== null) return typeof own === "string" ? own : "other";
  if (/^(?:ops\.)?(?:Softmax|ReLU|Relu|Sigmoid|LeakyReLU|ELU|PReLU)$/u.test(layer.className)) {
    return layer.className.replace("ops.", "").toLowerCase();
  }
  return "linear";
}
