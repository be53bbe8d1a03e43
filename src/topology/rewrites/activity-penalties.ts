import type { Json } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";
import { kerasRelease } from "../dialects/dialect.ts";
import type { ActivityPenalties, GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layerAt, layersByPath } from "../layer-graph.ts";
import type { NormPenalty } from "../regularizer.ts";
import { penaltyOf } from "../regularizer.ts";
import { renumbered } from "./renumber.ts";

/** Layers that pass their activity regularizer on to inner layers (`keras/src/layers/attention`). */
const handsInside = new Set(["MultiHeadAttention", "GroupedQueryAttention"]);

/**
 * Adds a call `training>ActivityPenalty` after every call of a layer with an activity regularizer, frozen or not. It
 * computes the penalty of each sample that the layer adds to the loss (`__call__` of `keras/src/layers/layer.py`).
 * Returns the same graph if no layer has one.
 * @throws {TopologyError} naming a layer whose regularizer applies inside the layer, not to each sample, or is not L1
 * or L2.
 */
export function withActivityPenalties(graph: LayerGraph, kerasVersion: string): LayerGraph {
  const layers = layersByPath(graph);
  const strengths = new Map(graph.layers.map((layer) => [layer.path, strengthOf(layer)] as const));
  const refs: TensorRef[] = [];
  const nodes = graph.nodes.flatMap((node) => {
    const strength = strengths.get(node.layer);
    if (!strength) return [node];
    requireSamples(node);
    const layer = penaltyLayer(layerAt(graph, node.layer), strength, layers);
    const penalty = penaltyCall(node, layer.path, graph.nodes.length + refs.length);
    refs.push({ node: penalty.index, output: 0 });
    return [node, penalty];
  });
  if (refs.length === 0) return graph;
  const draft = { nodes, layers: [...layers.values()], redirect: (ref: TensorRef) => ref };
  const { graph: penalized, moved } = renumbered(graph, draft);
  const activityPenalties = { refs: refs.map(moved), reduction: reductionOf(kerasVersion) };
  return { ...penalized, activityPenalties };
}

function strengthOf(layer: GraphLayer): NormPenalty | null {
  const { path, className, config } = layer;
  const { activity_regularizer: own, ...rest } = config;
  if (Object.values(rest).some(regularizesInside))
    throw refused(path, "of its outputs, got one inside the layer");
  if (own && handsInside.has(className)) throw refused(path, `of its outputs, got one inside ${className}`);
  const regularizer = className === "ActivityRegularization" ? { class_name: "L1L2", config } : own;
  const penalty = penaltyOf(path, regularizer, 2);
  if (penalty && "mode" in penalty) throw refused(path, "of class L1, L2 or L1L2, got OrthogonalRegularizer");
  return penalty && (penalty.l1 !== 0 || penalty.l2 !== 0) ? penalty : null;
}

function regularizesInside(value: Json): boolean {
  if (Array.isArray(value)) return value.some(regularizesInside);
  if (!isObject(value)) return false;
  const isPenalty =
    value["class_name"] === "ActivityRegularization" || (value["activity_regularizer"] ?? null) !== null;
  return isPenalty || Object.values(value).some(regularizesInside);
}

function requireSamples({ layer, outputs }: GraphNode): void {
  if (outputs.every(({ shape }) => shape?.[0] === null)) return;
  throw refused(layer, "of outputs whose first axis is the batch, got other outputs");
}

function refused(path: string, what: string): TopologyError {
  return new TopologyError(
    `${path}: activity regularizer: expected a regularizer ${what}. Save the model without it.`,
    "unsupported-regularizer",
  );
}

/** Returns the penalty layer of a layer, which all its calls share. */
function penaltyLayer(
  penalized: GraphLayer,
  strength: NormPenalty,
  layers: Map<string, GraphLayer>,
): GraphLayer {
  const name = `${penalized.name}_activity_penalty`;
  const path = `${penalized.path}_activity_penalty`;
  const layer = layers.get(path) ?? {
    ...penalized,
    path,
    name,
    className: "training>ActivityPenalty",
    config: { name, l1: strength.l1, l2: strength.l2 },
    trainable: false,
    index: layers.size,
  };
  layers.set(path, layer);
  return layer;
}

function penaltyCall(node: GraphNode, layer: string, index: number): GraphNode {
  const inputs = node.outputs.map((_, output) => ({ node: node.index, output }));
  return {
    index,
    layer,
    args: [{ kind: "list", items: inputs.map((ref) => ({ kind: "tensor", ref })) }],
    kwargs: {},
    inputs,
    outputs: [{ shape: [null, 1], dtype: "float32" }],
  };
}

/**
 * Returns whether the loss divides by the batch size. Keras 3 does since 3.14, and tf.keras, which is all of Keras 2
 * since 2.4, always did. Keras before 2.4 did not (`keras/engine/base_layer.py` of 2.2.4, `keras/engine/topology.py` of
 * 1.2.2).
 */
function reductionOf(kerasVersion: string): ActivityPenalties["reduction"] {
  const { major, minor = Number.POSITIVE_INFINITY, isTensorFlows } = kerasRelease(kerasVersion);
  if (major === 1) return "sum";
  if (major === 2) return isTensorFlows || minor === Number.POSITIVE_INFINITY ? "mean" : "sum";
  return minor >= 14 ? "mean" : "sum";
}
