/** Penalty that the activities of a batch add to its loss, from what each sample adds (`training>ActivityPenalty`). */
import { tf } from "../engine/tf.ts";
import type { ActivityPenalties } from "../topology/layer-graph.ts";

type Reduction = ActivityPenalties["reduction"];

/** `penalties` are `[N,1]` each. */
export function activityPenalty(penalties: readonly tf.Tensor[], reduction: Reduction): number {
  return penalties.reduce((total, each) => {
    const amount = tf.tidy(() => (reduction === "mean" ? tf.mean(each) : tf.sum(each)));
    const [value] = amount.dataSync();
    amount.dispose();
    return total + value!;
  }, 0);
}

/** The gradient of the loss by each of `penalties`; the caller's. */
export function activityGradients(penalties: readonly tf.Tensor[], reduction: Reduction): tf.Tensor[] {
  return penalties.map((each) => tf.fill(each.shape, reduction === "mean" ? 1 / each.shape[0]! : 1));
}
