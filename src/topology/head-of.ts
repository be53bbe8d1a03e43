import type { GraphEndpoint, GraphLayer, LayerGraph } from "./layer-graph.ts";
import { layerAt, nodeAt, tensorAt } from "./layer-graph.ts";
import { weightSpecsOf } from "./weights-of.ts";

/** Head of a model: the last layer with weights before an output, and the layers after it. */
export interface Head {
  readonly path: string;
  /** Paths of the layers without weights from it to the output, in order. */
  readonly tail: readonly string[];
  /** True if the layer is called more than once. */
  readonly shared: boolean;
}

/**
 * Finds the head of a model with one output. Returns null if the model has several outputs, or if branches merge
 * between the last layers with weights and the output.
 */
export function headOf(graph: LayerGraph): Head | null {
  const [output, ...others] = graph.outputs;
  return output && others.length === 0 ? headBefore(graph, output) : null;
}

/** Finds the head of each output. Returns null if any output has none. */
export function headsOf(graph: LayerGraph): readonly Head[] | null {
  const heads = graph.outputs.map((output) => headBefore(graph, output));
  return heads.every((head) => head !== null) && heads.length > 0 ? heads : null;
}

function headBefore(graph: LayerGraph, output: GraphEndpoint): Head | null {
  const specs = weightSpecsOf(graph);
  const tail: string[] = [];
  let node = nodeAt(graph, output.ref.node);
  while (!specs.has(node.layer)) {
    const [source, ...others] = node.inputs;
    if (!source || others.length > 0) return null;
    tail.unshift(node.layer);
    node = nodeAt(graph, source.node);
  }
  const calls = graph.nodes.filter((candidate) => candidate.layer === node.layer).length;
  return { path: node.layer, tail, shared: calls > 1 };
}

/** A head that computes class scores. */
export interface Classifier {
  readonly head: Head;
  /** Number of units of a Dense or filters of a convolution. */
  readonly units: number;
  /** Activation of the output: `softmax`, `sigmoid` or `linear`. */
  readonly activation: string;
  /** Number of classes: two for a single sigmoid unit, else the number of units. */
  readonly classes: number;
}

/**
 * Returns the head of a classifier: a Dense or a convolution with a softmax, sigmoid or linear output of one row a
 * sample. Returns null for any other model.
 */
export function classifierOf(graph: LayerGraph): Classifier | null {
  const head = headOf(graph);
  if (!head) return null;
  const layer = layerAt(graph, head.path);
  const [output] = graph.outputs;
  const shape = output ? tensorAt(graph, output.ref).shape : null;
  const units = layer.config[layer.className === "Dense" ? "units" : "filters"];
  const activation = activationOf(graph, head);
  if (!/^(?:Dense|Conv[123]D)$/u.test(layer.className) || typeof units !== "number") return null;
  if (shape?.length !== 2 || shape[1] !== units) return null;
  if (activation !== "softmax" && activation !== "sigmoid" && activation !== "linear") return null;
  return { head, units, activation, classes: units === 1 && activation === "sigmoid" ? 2 : units };
}

/** Returns the last activation of the head and its tail that is not linear. */
function activationOf(graph: LayerGraph, head: Head): string {
  const layers = [head.path, ...head.tail].map((path) => layerAt(graph, path));
  return layers.map(activationName).findLast((name) => name !== "linear") ?? "linear";
}

/** Returns the activation of a layer by name, `other` if it is not a string, `linear` if the layer has none. */
export function activationName(layer: GraphLayer): string {
  const own = layer.config["activation"];
  if (own !== undefined && own !== null) return typeof own === "string" ? own : "other";
  if (/^(?:ops\.)?(?:Softmax|ReLU|Relu|Sigmoid|LeakyReLU|ELU|PReLU)$/u.test(layer.className)) {
    return layer.className.replace("ops.", "").toLowerCase();
  }
  return "linear";
}
