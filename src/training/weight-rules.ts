import type { Partition } from "../freeze/partition.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { layersByPath } from "../topology/layer-graph.ts";
import type { Penalty } from "../topology/regularizer.ts";
import { penaltyOf } from "../topology/regularizer.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { Constraint } from "./constraints.ts";
import { constraintOf } from "./constraints.ts";

/** Regularizer and constraint of a trained weight. */
export interface WeightRule {
  readonly path: string;
  readonly name: string;
  readonly penalty: Penalty | null;
  readonly constraint: Constraint | null;
}

/**
 * The regularizers and constraints of the trained weights; no others move weights (`_get_regularization_losses` in
 * `keras/src/layers/layer.py`, `apply` in `keras/src/optimizers/base_optimizer.py`). Weights without any are absent.
 * @throws {TopologyError} for a regularizer or constraint that is not known here.
 */
export function weightRules(graph: LayerGraph, partition: Partition): readonly WeightRule[] {
  const specs = weightSpecsOf(graph);
  return [...partition.trainableWeights].flatMap(([path, names]) =>
    names.flatMap((name) => {
      const spec = specs.get(path)?.find((candidate) => candidate.name === name);
      const penalty = penaltyOf(path, spec?.regularizer, spec?.shape.length ?? 0);
      const constraint = constraintOf(path, spec?.constraint);
      return penalty || constraint ? [{ path, name, penalty, constraint }] : [];
    }),
  );
}

/** Returns the constraints by `path/name`. */
export function constraintsOf(rules: readonly WeightRule[]): ReadonlyMap<string, Constraint> {
  return new Map(
    rules.flatMap(({ path, name, constraint }) =>
      constraint ? [[`${path}/${name}`, constraint] as const] : [],
    ),
  );
}

/** A weight that the loss counts. */
export interface WeightPenalty {
  readonly path: string;
  readonly name: string;
  readonly penalty: Penalty;
  readonly trains: boolean;
}

/**
 * Returns the penalties that weights add to the loss that Keras reports: every regularized weight in Keras 1 and 2 (`losses` in
 * `keras/engine/base_layer.py`), where one that stands still is a constant, and those that train in Keras 3.
 * @throws {TopologyError} for a regularizer that is not known here.
 */
export function weightPenalties(
  graph: LayerGraph,
  trainable: ReadonlyMap<string, readonly string[]>,
): readonly WeightPenalty[] {
  const layers = layersByPath(graph);
  return [...weightSpecsOf(graph)].flatMap(([path, specs]) =>
    specs.flatMap(({ name, regularizer, shape }) => {
      const trains = trainable.get(path)?.includes(name) ?? false;
      if (!trains && layers.get(path)!.keras === 3) return [];
      const penalty = penaltyOf(path, regularizer, shape.length);
      return penalty ? [{ path, name, penalty, trains }] : [];
    }),
  );
}
