import type { tf } from "../engine/tf.ts";
import type { Objective } from "../task/objective.ts";
import type { OutputTargets } from "../task/output-targets.ts";

/** Samples of a step, as the dynamic part of a model takes them. */
export interface Batch {
  /** One tensor for each of the partition's frontier tensors. The caller's. */
  readonly features: readonly tf.Tensor[];
  /** One for each output; null for an output without a loss. */
  readonly targets: readonly (OutputTargets | null)[];
  /** The tail's own where absent. */
  readonly objective?: Objective;
}
