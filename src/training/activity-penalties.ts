/** @file Penalty that the activities of a batch add to its loss, from what each sample adds (`training>ActivityPenalty`). */
import { tf } from "../engine/tf.ts";
import type { ActivityPenalties } from "../topology/layer-graph.ts";

type Reduction = ActivityPenalties["reduction"];

/** Returns what each of `penalties`, `[N, 1]`, adds to the loss, a scalar that the caller owns. */
export function activityPenalties(penalties: readonly tf.Tensor[], reduction: Reduction): tf.Tensor[] {
  return penalties.map((each) => tf.tidy(() => (reduction === "mean" ? tf.mean(each) : tf.sum(each))));
}

/** Returns the gradient of the loss by each of `penalties`, which the caller owns. */
export function activityGradients(penalties: readonly tf.Tensor[], reduction: Reduction): tf.Tensor[] {
  return penalties.map((each) => tf.fill(each.shape, reduction === "mean" ? 1 / each.shape[0]! : 1));
}
