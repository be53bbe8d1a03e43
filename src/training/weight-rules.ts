import { TopologyError } from "../errors.ts";
import type { Partition } from "../freeze/partition.ts";
import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import { layersByPath } from "../topology/layer-graph.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";
import type { Constraint } from "./constraints.ts";
import { constraintOf } from "./constraints.ts";
import type { Penalty } from "./regularizers.ts";
import { penaltyOf } from "./regularizers.ts";

/** What a trained weight's layer asks of it beside the loss. */
export interface WeightRule {
  readonly path: string;
  readonly name: string;
  readonly penalty: Penalty | null;
  readonly constraint: Constraint | null;
}

/**
 * The regularizers and constraints of the trained weights; Keras counts no others (`_get_own_losses` in
 * `keras/src/layers/layer.py`, `apply` in `keras/src/optimizers/base_optimizer.py`). Weights without any are absent.
 * @throws {TopologyError} for a regularizer or constraint that is not known here, and for one of a trained part's activities.
 */
export function weightRules(graph: LayerGraph, partition: Partition): readonly WeightRule[] {
  refuseActivityRegularizers(graph, partition);
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

function refuseActivityRegularizers(graph: LayerGraph, { sides }: Partition): void {
  const layers = layersByPath(graph);
  const found = graph.nodes.find(
    (node) => sides[node.index] === "dynamic" && regularizesActivity(layers.get(node.layer)!),
  );
  if (!found) return;
  throw new TopologyError(
    `${found.layer}: activity regularizer: expected none where layers train, got one. Freeze up to behind that layer, or save the model without it.`,
    "unsupported-regularizer",
  );
}

function regularizesActivity({ className, config }: GraphLayer): boolean {
  if (className === "ActivityRegularization")
    return Number(config["l1"] ?? 0) + Number(config["l2"] ?? 0) > 0;
  return (config["activity_regularizer"] ?? null) !== null;
}
