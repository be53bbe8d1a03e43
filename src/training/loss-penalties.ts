/** @file The sum that regularizers add to a batch's loss. */
import type { Weights } from "../checkpoint.ts";
import { takeScalars } from "../engine/scalars.ts";
import type { tf } from "../engine/tf.ts";
import type { LayerWeights } from "../model/uploads.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { activityGradients, activityPenalties } from "./activity-penalties.ts";
import { storedPenaltyTotal, sumOf, weightPenaltiesNow } from "./regularizers.ts";
import type { WeightRule } from "./weight-rules.ts";
import { weightPenalties } from "./weight-rules.ts";

export interface LossPenalties {
  /** Returns the sum for these weights and the activities of a batch, `[N, 1]` each. */
  total(weights: LayerWeights, activities: readonly tf.Tensor[]): Promise<number>;
  /** Returns the gradient of the loss by each of `activities`, which the caller owns. */
  gradients(activities: readonly tf.Tensor[]): tf.Tensor[];
}

/** Returns the penalties of a model of which some weights train. `stored` are its weights, off the engine. */
export function lossPenalties(
  graph: LayerGraph,
  rules: readonly WeightRule[],
  trainable: ReadonlyMap<string, readonly string[]>,
  stored: Weights,
): LossPenalties {
  const frozen = weightPenalties(graph, trainable).filter(({ trains }) => !trains);
  const reduction = graph.activityPenalties?.reduction ?? "mean";
  let standing: Promise<number> | undefined;
  /** Returns the penalties that weights add which do not train. */
  const standingPenalty = (): Promise<number> => {
    standing ??= storedPenaltyTotal(frozen, stored);
    return standing;
  };
  return {
    total: async (weights, activities) => {
      const ofWeights = weightPenaltiesNow(rules, weights);
      const amounts = await takeScalars([...ofWeights, ...activityPenalties(activities, reduction)]);
      const count = ofWeights.length;
      return (await standingPenalty()) + sumOf(amounts.slice(0, count)) + sumOf(amounts.slice(count));
    },
    gradients: (activities) => activityGradients(activities, reduction),
  };
}
