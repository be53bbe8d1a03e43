import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerAt, nodeAt, refKey, tensorAt } from "../layer-graph.ts";
import { activationName } from "../specs/activation.ts";
import type { GraphEdges } from "./graph-edges.ts";
import { graphEdges } from "./graph-edges.ts";

/** An activation whose logits Keras computes a cross-entropy from. */
export type LogitsActivation = "softmax" | "sigmoid" | "none";

/** Activations of one output of a model. */
export interface OutputLogits {
  /** Activation to apply to the graph's output to get the model's output. A softmax applies to the last axis. */
  readonly activation: LogitsActivation;
  /** Activation that directly returns the model's output, removed or not. Keras finds the logits through it. */
  readonly carried: LogitsActivation;
}

/** A graph whose outputs are logits where possible. */
export interface LogitsGraph {
  /** The model up to its logits, with the same nodes at the same indices. The original graph if nothing changes. */
  readonly graph: LayerGraph;
  /** Activations in the order of the graph's outputs. */
  readonly outputs: readonly OutputLogits[];
}

const withActivationArgument =
  /^(?:Dense|EinsumDense|Activation|(?:Separable|Depthwise)?Conv[123]D(?:Transpose)?)$/u;

/**
 * Removes the softmax or sigmoid of a model's outputs, so that a cross-entropy is computed from logits as Keras does.
 * The activation may be in the last layer, or before layers that move values without mixing classes (a Reshape that
 * keeps the last axis, any Flatten after a sigmoid). It stays if another layer reads its output, or if its layer is
 * called more than once.
 * @param mayChange Returns whether the activation of a node may be removed. True for all nodes by default.
 */
export function withLogitsOutputs(
  graph: LayerGraph,
  mayChange: (node: GraphNode) => boolean = () => true,
): LogitsGraph {
  const edges = graphEdges(graph);
  const found = graph.outputs.map(({ ref }) => logitsBefore(graph, edges, ref, mayChange));
  const stripped = new Set(found.flatMap(({ layer }) => (layer === undefined ? [] : [layer])));
  const layers = graph.layers.map((layer) => (stripped.has(layer.path) ? withoutActivation(layer) : layer));
  return {
    graph: stripped.size === 0 ? graph : { ...graph, layers },
    outputs: found.map(({ activation, carried }) => ({ activation, carried })),
  };
}

/** Activations of an output, with the path of the layer to remove the activation from, if any. */
type FoundLogits = OutputLogits & { readonly layer?: string };

function logitsBefore(
  graph: LayerGraph,
  edges: GraphEdges,
  output: TensorRef,
  mayChange: (node: GraphNode) => boolean,
): FoundLogits {
  const moved: GraphNode[] = [];
  let isMoved = false;
  let isFree = edges.readers(output).length === 0;
  for (let ref: TensorRef | undefined = output; ref; ) {
    const node = nodeAt(graph, ref.node);
    const layer = layerAt(graph, node.layer);
    const activation = outputActivation(layer, node);
    if (activation !== "none") {
      const carried = isMoved ? "none" : activation;
      const isOwn =
        isFree &&
        edges.calls(layer.path).length === 1 &&
        (layer.config["activity_regularizer"] ?? null) === null;
      const strippable =
        isOwn &&
        !layer.className.startsWith("ops.") &&
        mayChange(node) &&
        moved.every(movesOnly[activation](graph));
      return strippable ? { activation, carried, layer: layer.path } : { activation: "none", carried };
    }
    if (!isMover(layer)) break;
    if (layer.className === "Reshape" || layer.className === "Flatten") isMoved = true;
    moved.push(node);
    ref = node.inputs[0];
    isFree &&= ref !== undefined && edges.readers(ref).length === 1 && !isOtherOutput(graph, ref);
  }
  return { activation: "none", carried: "none" };
}

function isOtherOutput(graph: LayerGraph, ref: TensorRef): boolean {
  return graph.outputs.some((output) => refKey(output.ref) === refKey(ref));
}

function outputActivation(layer: GraphLayer, node: GraphNode): LogitsActivation {
  if (node.inputs.length !== 1) return "none";
  const rank = node.outputs[0]?.shape?.length;
  if (/^(?:ops\.)?Softmax$/u.test(layer.className)) {
    return isLastAxis(layer.config["axis"] ?? -1, rank) ? "softmax" : "none";
  }
  if (layer.className === "ops.Sigmoid") return "sigmoid";
  if (!withActivationArgument.test(layer.className)) return "none";
  const name = activationName(layer.config);
  return name === "softmax" || name === "sigmoid" ? name : "none";
}

function isLastAxis(axis: unknown, rank: number | undefined): boolean {
  const only = Array.isArray(axis) && axis.length === 1 ? axis[0] : axis;
  return only === -1 || (rank !== undefined && only === rank - 1);
}

function isMover(layer: GraphLayer): boolean {
  if (layer.className === "Activation") return activationName(layer.config) === "linear";
  return layer.className === "Reshape" || layer.className === "Flatten" || layer.className === "Identity";
}

/** Returns whether a node moves values without mixing the classes that the activation computes. */
const movesOnly: Readonly<
  Record<"softmax" | "sigmoid", (graph: LayerGraph) => (node: GraphNode) => boolean>
> = {
  sigmoid: () => () => true,
  softmax: (graph) => (node) => {
    const [input] = node.inputs;
    const classes = input && tensorAt(graph, input).shape?.at(-1);
    const layer = layerAt(graph, node.layer);
    if (layer.className === "Flatten" && layer.config["data_format"] === "channels_first") return false;
    return typeof classes === "number" && classes === node.outputs[0]?.shape?.at(-1);
  },
};

function withoutActivation(layer: GraphLayer): GraphLayer {
  if (layer.className === "Softmax") {
    return { ...layer, className: "Activation", config: { name: layer.name, activation: "linear" } };
  }
  return { ...layer, config: { ...layer.config, activation: "linear" } };
}
