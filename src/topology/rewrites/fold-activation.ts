import type { GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerLookup, nodeAt, refKey } from "../layer-graph.ts";
import { activationName, isLinear, runsAlongLastAxis } from "../specs/activation.ts";
import { isContraction } from "./contraction-weights.ts";
import type { RewriteOptions } from "./fold-batch-norm.ts";
import { graphEdges } from "./graph-edges.ts";
import { followed, renumbered } from "./renumber.ts";

/** Options of {@link foldActivations}. */
export interface FoldActivationOptions extends RewriteOptions {
  /** True where a sum takes in the activation after it too, for an engine that computes both at once. Defaults to false. */
  readonly intoSums?: boolean;
}

/**
 * Folds activation layers into the `activation` argument of the linear convolution or Dense before them if a named
 * activation is equivalent, so that an engine can compute both at once. The conditions are those of
 * {@link foldBatchNorm}; weights do not change.
 */
export function foldActivations(
  graph: LayerGraph,
  options: FoldActivationOptions,
): { readonly graph: LayerGraph; readonly kept: readonly TensorRef[] } {
  const edges = graphEdges(graph);
  const keptKeys = new Set(options.kept.map(refKey));
  const original = layerLookup(graph);
  const changed = new Map<string, GraphLayer>();
  const layerOf = (path: string): GraphLayer => changed.get(path) ?? original(path);
  const redirects = new Map<string, TensorRef>();
  for (const node of graph.nodes) {
    const name = activationOf(original(node.layer), node);
    const source = node.inputs[0];
    if (name === null || !source || !options.foldable(node.layer)) continue;
    const before = layerOf(nodeAt(graph, source.node).layer);
    const alone =
      edges.readers(source).length === 1 && !edges.isOutput(source) && !keptKeys.has(refKey(source));
    const takesIn =
      (isContraction(before) || (options.intoSums === true && before.className === "Add")) &&
      options.foldable(before.path) &&
      edges.calls(before.path).length === 1 &&
      isLinear(before.config) &&
      !before.config["activity_regularizer"] &&
      before.keras === layerOf(node.layer).keras;
    if (!alone || !takesIn) continue;
    changed.set(before.path, { ...before, config: { ...before.config, activation: name } });
    redirects.set(refKey({ node: node.index, output: 0 }), source);
  }
  if (redirects.size === 0) return { graph, kept: options.kept };
  const { graph: folded, moved } = renumbered(graph, {
    nodes: graph.nodes.filter((node) => !redirects.has(refKey({ node: node.index, output: 0 }))),
    layers: graph.layers.map((layer) => layerOf(layer.path)),
    redirect: (ref) => followed(redirects, ref),
  });
  return { graph: folded, kept: options.kept.map(moved) };
}

/** Returns the named activation that is equivalent to the layer, null if there is none. */
function activationOf(layer: GraphLayer, node: GraphNode): string | null {
  if (node.inputs.length !== 1 || layer.config["activity_regularizer"]) return null;
  const { config } = layer;
  switch (layer.className) {
    case "Activation":
      return elementwiseName(config);
    case "ReLU":
      return reluName(config);
    case "LeakyReLU":
      return config["negative_slope"] === 0.2 ? "leaky_relu" : null;
    case "ELU":
      return config["alpha"] === 1 ? "elu" : null;
    default:
      return isPlainOp(node) ? (opNames.get(layer.className) ?? null) : null;
  }
}

/** Operations of keras.ops whose defaults are those of the activation. */
const opNames: ReadonlyMap<string, string> = new Map([
  ["ops.Relu", "relu"],
  ["ops.Relu6", "relu6"],
  ["ops.Sigmoid", "sigmoid"],
  ["ops.Silu", "silu"],
  ["ops.Tanh", "tanh"],
]);

function isPlainOp(node: GraphNode): boolean {
  return node.args.length === 1 && Object.keys(node.kwargs).length === 0;
}

function elementwiseName(config: GraphLayer["config"]): string | null {
  const name = activationName(config);
  return name === null || runsAlongLastAxis(name) ? null : name;
}

/**
 * Returns the activation that computes what a ReLU layer with Keras 3's argument names does; undefined if there is
 * none.
 */
function reluName(config: GraphLayer["config"]): string | null {
  if ((config["negative_slope"] ?? 0) !== 0 || (config["threshold"] ?? 0) !== 0) return null;
  const bound = config["max_value"] ?? null;
  if (bound === null) return "relu";
  return bound === 6 ? "relu6" : null;
}
