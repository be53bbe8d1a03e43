import { isObject } from "./config-values.ts";
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

/** A Dense or convolution whose units are the last axis of an output. */
export interface OutputHead {
  readonly head: Head;
  /** Number of units of a Dense or filters of a convolution. */
  readonly units: number;
  /** Activation of the output: `softmax`, `sigmoid`, `linear`, or another function. */
  readonly activation: string;
  /** True if the output has rank 2, one row per sample. */
  readonly perSample: boolean;
}

/**
 * Returns the head of the output at `index`. Returns null if its head is another kind of layer, or if a layer after the
 * head changes the number of units.
 */
export function outputHead(graph: LayerGraph, index: number): OutputHead | null {
  const output = graph.outputs[index];
  const head = output ? headBefore(graph, output) : null;
  if (!head || !output) return null;
  const { shape } = tensorAt(graph, output.ref);
  const units = unitsOf(layerAt(graph, head.path));
  if (units === null || !shape || shape.length < 2 || shape.at(-1) !== units) return null;
  return { head, units, activation: activationOf(graph, head), perSample: shape.length === 2 };
}

/** Returns the units of a Dense, of a Dense inside a TimeDistributed, or of a convolution; null for other layers. */
function unitsOf({ className, config }: GraphLayer): number | null {
  if (className === "TimeDistributed") {
    const inner = config["layer"];
    if (!isObject(inner) || inner["class_name"] !== "Dense" || !isObject(inner["config"])) return null;
    const { units } = inner["config"];
    return typeof units === "number" ? units : null;
  }
  if (!/^(?:Dense|(?:Separable)?Conv[123]D(?:Transpose)?)$/u.test(className)) return null;
  const units = config[className === "Dense" ? "units" : "filters"];
  return typeof units === "number" ? units : null;
}

/** A head that computes class scores. */
export interface Classifier extends OutputHead {
  /** Number of classes: two for a single sigmoid unit, else the number of units. */
  readonly classes: number;
}

/**
 * Returns the head of a classifier: a Dense or convolution with a softmax, sigmoid or linear output of one row per
 * sample. Returns null for any other model.
 */
export function classifierOf(graph: LayerGraph): Classifier | null {
  const found = graph.outputs.length === 1 ? outputHead(graph, 0) : null;
  if (!found?.perSample || !["softmax", "sigmoid", "linear"].includes(found.activation)) return null;
  return { ...found, classes: found.units === 1 && found.activation === "sigmoid" ? 2 : found.units };
}

/** Returns the last activation of the head and its tail that is not linear. */
function activationOf(graph: LayerGraph, head: Head): string {
  const layers = [head.path, ...head.tail].map((path) => inTime(layerAt(graph, path)));
  return layers.map(activationName).findLast((name) => name !== "linear") ?? "linear";
}

/** Returns the layer that a TimeDistributed applies, or the layer itself. */
function inTime(layer: GraphLayer): GraphLayer {
  const inner = layer.className === "TimeDistributed" ? layer.config["layer"] : undefined;
  if (!isObject(inner) || !isObject(inner["config"])) return layer;
  return { ...layer, className: String(inner["class_name"]), config: inner["config"] };
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
