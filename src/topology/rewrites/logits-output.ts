import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerAt } from "../layer-graph.ts";
import { activationName } from "../specs/activation.ts";
import type { GraphEdges } from "./graph-edges.ts";
import { graphEdges } from "./graph-edges.ts";

export interface LogitsOutput {
  /**
   * The model up to its logits: the same nodes at the same indices, one layer less active. The graph itself if "none".
   */
  readonly graph: LayerGraph;
  /** What turns the graph's output into the model's; softmax over the last axis. */
  readonly activation: "softmax" | "sigmoid" | "none";
}

const withActivationArgument = new Set(["Dense", "Conv1D", "Conv2D", "Conv3D", "Activation"]);

/**
 * The model without the softmax or sigmoid of its only output, so that a cross-entropy is computed from logits as Keras
 * does. It is found in the last layer, or before layers that move values without mixing classes (a Reshape that keeps
 * the last axis, any Flatten after a sigmoid). Left alone where somebody else reads what it gives, or its layer is
 * called twice.
 */
export function withLogitsOutput(graph: LayerGraph): LogitsOutput {
  const edges = graphEdges(graph);
  const unchanged: LogitsOutput = { graph, activation: "none" };
  if (graph.outputs.length !== 1) return unchanged;
  const moved: GraphNode[] = [];
  for (let ref: TensorRef | undefined = graph.outputs[0]!.ref; ref; ) {
    const node: GraphNode = graph.nodes[ref.node]!;
    const layer = layerAt(graph, node.layer);
    if (!readOnce(edges, ref, moved.length === 0)) return unchanged;
    const activation = outputActivation(layer, node);
    if (activation !== "none") {
      const strippable = edges.calls(layer.path).length === 1 && moved.every(movesOnly[activation](graph));
      return strippable ? { graph: withLayer(graph, withoutActivation(layer)), activation } : unchanged;
    }
    if (!isMover(layer)) return unchanged;
    moved.push(node);
    ref = node.inputs[0];
  }
  return unchanged;
}

/** The output itself is read by nobody; a tensor before it by the next layer alone. */
function readOnce(edges: GraphEdges, ref: TensorRef, isLast: boolean): boolean {
  return isLast ? edges.readers(ref).length === 0 : edges.readers(ref).length === 1 && !edges.isOutput(ref);
}

function outputActivation(layer: GraphLayer, node: GraphNode): LogitsOutput["activation"] {
  if (node.inputs.length !== 1 || (layer.config["activity_regularizer"] ?? null) !== null) return "none";
  const rank = node.outputs[0]?.shape?.length;
  if (layer.className === "Softmax") return isLastAxis(layer.config["axis"] ?? -1, rank) ? "softmax" : "none";
  if (!withActivationArgument.has(layer.className)) return "none";
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

const movesOnly: Readonly<
  Record<"softmax" | "sigmoid", (graph: LayerGraph) => (node: GraphNode) => boolean>
> = {
  sigmoid: () => () => true,
  softmax: (graph) => (node) => {
    const before = graph.nodes[node.inputs[0]!.node]!.outputs[node.inputs[0]!.output]?.shape?.at(-1);
    const layer = layerAt(graph, node.layer);
    if (layer.className === "Flatten" && layer.config["data_format"] === "channels_first") return false;
    return typeof before === "number" && before === node.outputs[0]?.shape?.at(-1);
  },
};

function withoutActivation(layer: GraphLayer): GraphLayer {
  if (layer.className === "Softmax") {
    return { ...layer, className: "Activation", config: { name: layer.name, activation: "linear" } };
  }
  return { ...layer, config: { ...layer.config, activation: "linear" } };
}

function withLayer(graph: LayerGraph, changed: GraphLayer): LayerGraph {
  return { ...graph, layers: graph.layers.map((layer) => (layer.path === changed.path ? changed : layer)) };
}
