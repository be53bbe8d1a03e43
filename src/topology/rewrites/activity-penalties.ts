import type { Json } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";
import { kerasRelease } from "../dialects/dialect.ts";
import type { ActivityPenalties, GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { layersByPath } from "../layer-graph.ts";
import type { NormPenalty } from "../regularizer.ts";
import { penaltyOf } from "../regularizer.ts";
import { renumbered } from "./renumber.ts";

/** They hand their regularizer to layers inside (`keras/src/layers/attention`). */
const handsInside = new Set(["MultiHeadAttention", "GroupedQueryAttention"]);

/**
 * The graph with a call `training>ActivityPenalty` behind every call of a layer with an activity regularizer, frozen or not: what it adds to
 * the loss, sample by sample (`__call__` in `keras/src/layers/layer.py`). The graph itself where no layer has one.
 * @throws {TopologyError} naming a layer whose activities are penalized inside it, not sample by sample, or not as Keras does.
 */
export function withActivityPenalties(graph: LayerGraph, kerasVersion: string): LayerGraph {
  const layers = layersByPath(graph);
  const strengths = new Map(graph.layers.map((layer) => [layer.path, strengthOf(layer)] as const));
  const refs: TensorRef[] = [];
  const nodes = graph.nodes.flatMap((node) => {
    const strength = strengths.get(node.layer);
    if (!strength) return [node];
    requireSamples(node);
    const layer = penaltyLayer(layers.get(node.layer)!, strength, layers);
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
  if (Object.values(rest).some(regularizesInside)) throw refused(path, "at its outputs, got one inside it");
  if (own && handsInside.has(className)) throw refused(path, `at its outputs, got one inside ${className}`);
  const regularizer = className === "ActivityRegularization" ? { class_name: "L1L2", config } : own;
  const penalty = penaltyOf(path, regularizer, 2);
  if (penalty && "mode" in penalty) throw refused(path, "of L1, L2 or L1L2, got OrthogonalRegularizer");
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
  throw refused(layer, "of outputs with a batch in front, got others");
}

function refused(path: string, what: string): TopologyError {
  return new TopologyError(
    `${path}: activity regularizer: expected one ${what}. Save the model without it.`,
    "unsupported-regularizer",
  );
}

/** One layer for all calls of the penalized one. */
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
 * Keras 3 divides since 3.14, tf.keras always did, and what is Keras 2 since 2.4 is tf.keras; Keras without TensorFlow's own
 * versions before that never did (`keras/engine/base_layer.py` of 2.2.4, `keras/engine/topology.py` of 1.2.2).
 */
function reductionOf(kerasVersion: string): ActivityPenalties["reduction"] {
  const { major, minor = Number.POSITIVE_INFINITY, isTensorFlows } = kerasRelease(kerasVersion);
  if (major === 1) return "sum";
  if (major === 2) return isTensorFlows || minor === Number.POSITIVE_INFINITY ? "mean" : "sum";
  return minor >= 14 ? "mean" : "sum";
}
