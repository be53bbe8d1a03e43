import { optionSetTo } from "../options.ts";
import { elementCount } from "../tensor.ts";
import type { NodeShapes } from "../topology/concrete-shapes.ts";
import { concreteShapes, shapeAt } from "../topology/concrete-shapes.ts";
import { type LayerGraph, nodeAt, type TensorRef } from "../topology/layer-graph.ts";
import type { WeightSpec } from "../topology/layer-spec.ts";
import { stagesOf } from "../topology/stages.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";
import type { CostConditions } from "./cost.ts";
import { plannedCost } from "./cost.ts";
import type { Partition } from "./partition.ts";
import type { FinetunePlan, PlannedAugmentation, PlannedLayer, PlannedTensor } from "./plan.ts";
import type { FreezeResolution } from "./policy.ts";
import { hasMovingStatistics } from "./trainable-weights.ts";

/** Options of {@link planFreeze}. */
export interface PlanOptions {
  /** Image size `[height, width]` in pixels for a model that accepts any size. Defaults to `[224, 224]`. */
  readonly imageSize?: readonly [number, number];
  /** Conditions of the run. The plan has no cost without them. */
  readonly cost?: CostConditions;
  /** Augmentation of the training samples. */
  readonly augmentation?: PlannedAugmentation | undefined;
}

/**
 * Plans a run: the layers that train, the cut, and its cost. No tensor is computed.
 * @throws {Error} if nothing trains, which {@link resolveFreeze} refuses.
 */
export function planFreeze(
  graph: LayerGraph,
  resolution: FreezeResolution,
  partition: Partition,
  options: PlanOptions = {},
): FinetunePlan {
  const specs = weightSpecsOf(graph);
  const shapes = concreteShapes(graph, options.imageSize);
  const layers = plannedLayers(graph, partition, specs);
  const first = layers.findIndex((layer) => layer.trainable);
  const firstTrainable = layers[first]?.path;
  if (firstTrainable === undefined) throw new Error(`plan: expected a layer of ${graph.name} that trains`);
  return {
    layers,
    firstTrainable,
    lastFrozen: lastFrozen(layers, first, resolution),
    parameters: { total: parameterCount(specs.values()), trainable: trainableCount(partition, specs) },
    frontier: partition.frontier.map((ref) => plannedTensor(graph, shapes, ref)),
    warnings: resolution.warnings,
    ...(options.augmentation && { augmentation: options.augmentation }),
    ...(options.cost && { cost: plannedCost(graph, partition, shapes, options.cost) }),
  };
}

/** Finds the last frozen layer. A layer that only the BatchNormalization mode freezes is no boundary. */
function lastFrozen(
  layers: readonly PlannedLayer[],
  first: number,
  { frozen, why, bnMode }: FreezeResolution,
): string | null {
  const isFrozen = ({ path, parameters }: PlannedLayer): boolean =>
    parameters > 0 && frozen.has(path) && why.get(path) !== optionSetTo("bnMode", bnMode);
  const before = layers.slice(0, first);
  const last = before.some(isFrozen) ? before.at(-1) : layers.findLast(isFrozen);
  return last?.path ?? null;
}

function plannedLayers(
  graph: LayerGraph,
  partition: Partition,
  specs: ReadonlyMap<string, readonly WeightSpec[]>,
): PlannedLayer[] {
  const stages = stagesOf(graph);
  const dynamic = new Set(
    graph.nodes.filter((node) => partition.sides[node.index] === "dynamic").map((node) => node.layer),
  );
  return graph.layers.map(({ path, className }) => {
    const own = specs.get(path) ?? [];
    const statistics = partition.batchStatistics.has(path) ? "batch" : "inference";
    return {
      path,
      className,
      stage: stages.labelOf(path),
      parameters: parameterCount([own]),
      trainable: partition.trainableWeights.has(path),
      bn: hasMovingStatistics(own) ? statistics : null,
      side: dynamic.has(path) ? "dynamic" : "static",
    };
  });
}

function trainableCount(partition: Partition, specs: ReadonlyMap<string, readonly WeightSpec[]>): number {
  return parameterCount(
    [...partition.trainableWeights].map(([path, names]) =>
      (specs.get(path) ?? []).filter((spec) => names.includes(spec.name)),
    ),
  );
}

function plannedTensor(graph: LayerGraph, shapes: readonly NodeShapes[], ref: TensorRef): PlannedTensor {
  const { layer } = nodeAt(graph, ref.node);
  const shape = shapeAt(shapes, ref) ?? [null];
  return {
    tensor: ref.output === 0 ? layer : `${layer}:${ref.output}`,
    shape,
    bytes: 4 * elementCount(shape.slice(1).map((size) => size ?? 0)),
  };
}
