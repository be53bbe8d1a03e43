import {
  type GraphLayer,
  type GraphNode,
  type LayerGraph,
  layersByPath,
  lossInputs,
  refKey,
  type TensorRef,
} from "../topology/layer-graph.ts";
import { isRandomLayer, specOf } from "../topology/layer-specs.ts";
import { everyRead } from "../topology/rewrites/graph-edges.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { FrozenSet } from "./policy.ts";
import { batchStatistics, hasMovingStatistics, trainableWeights } from "./trainable-weights.ts";

export type Side = "static" | "dynamic";

/** The graph cut in two: what runs once per image, and what runs at every step. */
export interface Partition {
  /** By node index. A static random layer runs as identity; a dynamic one is active in training. */
  readonly sides: readonly Side[];
  /**
   * Static tensors that a dynamic node reads, in node order; model inputs among them where nothing is frozen before. A static
   * model output is one too, and what static activities add to the loss.
   */
  readonly frontier: readonly TensorRef[];
  /** Names of the weights that receive gradients, by layer path; layers without any are absent. */
  readonly trainableWeights: ReadonlyMap<string, readonly string[]>;
  /**
   * Layers with moving statistics that use the batch's in a training step, and update them, or that renew weights of theirs. All
   * others use stored ones.
   */
  readonly batchStatistics: ReadonlySet<string>;
}

/**
 * The cut that a resolution makes. A node is static when its layer trains nothing, does not depend on the batch, and every
 * ancestor is static. A random layer is static, as in inference, where it is frozen itself or a frozen layer descends from
 * it that no trained layer comes before; else it is dynamic and active. A layer that makes a mask is dynamic where that mask
 * would cross the cut.
 */
export function partition(graph: LayerGraph, resolution: FrozenSet): Partition {
  const trainable = trainableWeights(graph, resolution);
  const statistics = batchStatistics(graph, resolution);
  const layers = layersByPath(graph);
  const specs = weightSpecsOf(graph);
  const silenced = silencedNodes(graph, resolution.frozen, trainable);
  const isDynamic = (node: GraphNode): boolean => {
    const layer = layers.get(node.layer)!;
    const followsBatch = hasMovingStatistics(specs.get(node.layer) ?? [])
      ? statistics.has(node.layer)
      : couplesBatch(graph, node, layer);
    return trainable.has(node.layer) || followsBatch || (isRandomLayer(layer) && !silenced.has(node.index));
  };
  const sides = withoutCrossingMasks(graph, isDynamic);
  return {
    sides,
    frontier: frontierOf(graph, sides),
    trainableWeights: trainable,
    batchStatistics: statistics,
  };
}

/** Whether a sample's output depends on the rest of its batch: also where what came sample by sample does so no longer. */
function couplesBatch(graph: LayerGraph, node: GraphNode, { className, config }: GraphLayer): boolean {
  const inputs = node.inputs.map((ref) => graph.nodes[ref.node]!.outputs[ref.output]!.shape ?? []);
  const couples = specOf(className)?.couplesBatch ?? false;
  if (typeof couples === "function" ? couples({ config, inputs }) : couples) return true;
  return (
    inputs.some(([batch]) => batch === null) &&
    node.outputs.some(({ shape }) => shape !== null && shape[0] !== null)
  );
}

/** The sides, with as many makers of masks dynamic as it takes for no mask to cross. */
function withoutCrossingMasks(graph: LayerGraph, isDynamic: (node: GraphNode) => boolean): readonly Side[] {
  const sides = sidesOf(graph, isDynamic);
  const crossing = crossingMasks(graph, (node) => sides[node.index] === "static");
  if (crossing.size === 0) return sides;
  return withoutCrossingMasks(graph, (node) => crossing.has(node.index) || isDynamic(node));
}

function sidesOf(graph: LayerGraph, isDynamic: (node: GraphNode) => boolean): Side[] {
  const sides: Side[] = [];
  for (const node of graph.nodes) {
    const isStatic = !isDynamic(node) && everyRead(node).every((ref) => sides[ref.node] === "static");
    sides.push(isStatic ? "static" : "dynamic");
  }
  return sides;
}

/** The calls of frozen layers that no trained layer comes before, and their ancestors: what is random among them is silenced. */
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
      pending.push(graph.nodes[ref.node]!);
    }
  }
  return ancestors;
}

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

/**
 * The calls that make a mask which travels beside a static tensor to a dynamic call (Masking, Embedding with `mask_zero`): a
 * frontier carries tensors and no masks. A mask travels as long as there is a second dimension to mask.
 */
function crossingMasks(graph: LayerGraph, isStatic: (node: GraphNode) => boolean): ReadonlySet<number> {
  const layers = layersByPath(graph);
  const makers: ReadonlySet<number>[] = [];
  const crossing = new Set<number>();
  for (const node of graph.nodes) {
    const { className, config } = layers.get(node.layer)!;
    const inherited = everyRead(node).flatMap((ref) => [...makers[ref.node]!]);
    const makes = className === "Masking" || config["mask_zero"] === true;
    const rank = node.outputs[0]?.shape?.length ?? 3;
    makers.push(new Set(rank > 2 ? [...inherited, ...(makes ? [node.index] : [])] : []));
    if (isStatic(node)) continue;
    for (const ref of everyRead(node)) {
      if (isStatic(graph.nodes[ref.node]!)) for (const maker of makers[ref.node]!) crossing.add(maker);
    }
  }
  return crossing;
}
