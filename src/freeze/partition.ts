import {
  type GraphLayer,
  type GraphNode,
  type LayerGraph,
  layerLookup,
  lossInputs,
  nodeAt,
  refKey,
  type TensorRef,
  tensorAt,
} from "../topology/layer-graph.ts";
import { inputShapes } from "../topology/layer-spec.ts";
import { isRandomLayer, specOf } from "../topology/layer-specs.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { FrozenSet } from "./policy.ts";
import { batchStatistics, hasMovingStatistics, trainableWeights } from "./trainable-weights.ts";

/** Side of a call: `static` runs once per sample and is cached, `dynamic` runs in every training step. */
export type Side = "static" | "dynamic";

/** A graph cut in two: calls that run once per sample, and calls that run in every step. */
export interface Partition {
  /**
   * Side of each call, by its index. A random layer runs as identity if it is static and is active in training if it is
   * dynamic.
   */
  readonly sides: readonly Side[];
  /**
   * Static tensors that a dynamic call reads, in order of the calls. A model input is one of them if nothing before its
   * reader is frozen; so are static model outputs and static activity penalties.
   */
  readonly frontier: readonly TensorRef[];
  /** Names of the weights that receive gradients, by layer path. Layers without any are absent. */
  readonly trainableWeights: ReadonlyMap<string, readonly string[]>;
  /**
   * Paths of the layers that use the statistics of the batch in a training step and update their moving statistics, or
   * that renew weights. All others use stored values.
   */
  readonly batchStatistics: ReadonlySet<string>;
}

/**
 * Cuts the graph for a set of frozen layers. A call is static if its layer trains nothing, its output does not depend
 * on the rest of the batch, and every ancestor is static. A random layer is static, as in inference, if it is frozen
 * and has weights, or if it leads to a frozen layer that has no trained ancestor; otherwise it is dynamic and active. A
 * layer that makes a mask is dynamic if that mask would cross the cut.
 */
export function partition(graph: LayerGraph, resolution: FrozenSet): Partition {
  const trainable = trainableWeights(graph, resolution);
  const statistics = batchStatistics(graph, resolution);
  const layerOf = layerLookup(graph);
  const specs = weightSpecsOf(graph);
  const silenced = silencedNodes(graph, resolution.frozen, trainable);
  const isDynamic = (node: GraphNode): boolean => {
    const layer = layerOf(node.layer);
    const followsBatch = hasMovingStatistics(specs.get(node.layer) ?? [])
      ? statistics.has(node.layer)
      : couplesBatch(graph, node, layer);
    return trainable.has(node.layer) || followsBatch || (isRandomLayer(layer) && !silenced.has(node.index));
  };
  const sides = withoutCrossings(graph, isDynamic);
  return {
    sides,
    frontier: frontierOf(graph, sides),
    trainableWeights: trainable,
    batchStatistics: statistics,
  };
}

/** Returns whether a sample's output depends on the rest of its batch, or has lost the batch dimension. */
export function couplesBatch(graph: LayerGraph, node: GraphNode, { className, config }: GraphLayer): boolean {
  const inputs = node.inputs.map((ref) => tensorAt(graph, ref).shape ?? []);
  const couples = specOf(className)?.couplesBatch ?? false;
  if (typeof couples === "function" ? couples({ config, inputs: inputShapes(inputs) }) : couples) return true;
  return (
    inputs.some(([batch]) => batch === null) &&
    node.outputs.some(({ shape }) => shape !== null && shape[0] !== null)
  );
}

/** Returns the sides, after making as many calls dynamic as it takes for nothing to cross the cut that is not kept: masks, and what is recomputed. */
function withoutCrossings(graph: LayerGraph, isDynamic: (node: GraphNode) => boolean): readonly Side[] {
  const sides = sidesOf(graph, isDynamic);
  const isStatic = (node: GraphNode): boolean => sides[node.index] === "static";
  const crossing = new Set([...crossingMasks(graph, isStatic), ...recomputedNodes(graph, isStatic)]);
  if (crossing.size === 0) return sides;
  return withoutCrossings(graph, (node) => crossing.has(node.index) || isDynamic(node));
}

function sidesOf(graph: LayerGraph, isDynamic: (node: GraphNode) => boolean): Side[] {
  const sides: Side[] = [];
  for (const node of graph.nodes) {
    const isStatic = !isDynamic(node) && everyRead(node).every((ref) => sides[ref.node] === "static");
    sides.push(isStatic ? "static" : "dynamic");
  }
  return sides;
}

/**
 * Returns the calls of frozen layers without a trained ancestor, and all their ancestors. Random layers among them are
 * silenced.
 */
function silencedNodes(
  graph: LayerGraph,
  frozen: ReadonlySet<string>,
  trainable: ReadonlyMap<string, readonly string[]>,
): ReadonlySet<number> {
  const specs = weightSpecsOf(graph);
  const canTrain = (node: GraphNode): boolean =>
    specs.get(node.layer)?.some((spec) => spec.trainable) === true;
  const behindTrained = new Set<number>();
  const anchors: GraphNode[] = [];
  for (const node of graph.nodes) {
    const behind = everyRead(node).some((ref) => behindTrained.has(ref.node));
    if (!behind && frozen.has(node.layer) && !trainable.has(node.layer) && canTrain(node)) anchors.push(node);
    if (behind || trainable.has(node.layer)) behindTrained.add(node.index);
  }
  const ancestors = new Set(anchors.map((node) => node.index));
  const pending = [...anchors];
  for (let node = pending.pop(); node; node = pending.pop()) {
    for (const ref of everyRead(node)) {
      if (ancestors.has(ref.node)) continue;
      ancestors.add(ref.node);
      pending.push(nodeAt(graph, ref.node));
    }
  }
  return ancestors;
}

/** Returns the static tensors that a dynamic call, the model's output or the loss reads. */
function frontierOf(graph: LayerGraph, sides: readonly Side[]): TensorRef[] {
  const read = new Set(lossInputs(graph).map(refKey));
  for (const node of graph.nodes) {
    if (sides[node.index] === "dynamic") for (const ref of everyRead(node)) read.add(refKey(ref));
  }
  return graph.nodes.flatMap((node) =>
    sides[node.index] === "static"
      ? node.outputs.map((_, output) => ({ node: node.index, output })).filter((ref) => read.has(refKey(ref)))
      : [],
  );
}

/** Returns the static calls of layers that are recomputed, of which a dynamic call reads the output. */
function recomputedNodes(graph: LayerGraph, isStatic: (node: GraphNode) => boolean): readonly number[] {
  const layerOf = layerLookup(graph);
  return graph.nodes
    .filter((node) => !isStatic(node))
    .flatMap((node) => everyRead(node).map((ref) => nodeAt(graph, ref.node)))
    .filter((node) => isStatic(node) && specOf(layerOf(node.layer).className)?.recomputed === true)
    .map(({ index }) => index);
}

/**
 * Returns the calls (Masking, Embedding with `mask_zero`) whose mask would travel with a static tensor to a dynamic
 * call. The frontier carries tensors without masks. A mask travels on as long as the tensor has a second dimension.
 */
function crossingMasks(graph: LayerGraph, isStatic: (node: GraphNode) => boolean): ReadonlySet<number> {
  const layerOf = layerLookup(graph);
  const makers: ReadonlySet<number>[] = [];
  const crossing = new Set<number>();
  for (const node of graph.nodes) {
    const { className, config } = layerOf(node.layer);
    const inherited = everyRead(node).flatMap((ref) => [...(makers[ref.node] ?? [])]);
    const makes = className === "Masking" || config["mask_zero"] === true;
    const rank = node.outputs[0]?.shape?.length ?? 3;
    makers.push(new Set(rank > 2 ? [...inherited, ...(makes ? [node.index] : [])] : []));
    if (isStatic(node)) continue;
    for (const ref of everyRead(node)) {
      if (isStatic(nodeAt(graph, ref.node))) for (const maker of makers[ref.node] ?? []) crossing.add(maker);
    }
  }
  return crossing;
}
