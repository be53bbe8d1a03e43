import type { Json } from "../../checkpoint.ts";
import type { tf } from "../../engine/tf.ts";
import type { Output } from "./output.ts";

export type LossSettings = Readonly<Record<string, Json>>;

/**
 * Form of the targets. `values`: of the output's shape. `indices`: class indices, one per position. `identities`: whole numbers
 * `[N]` that are equal for samples that belong together. `sequences`: class indices `[N, length]`, zero-padded.
 */
export type TargetForm = "values" | "indices" | "identities" | "sequences";

/** A loss before it is reduced. */
export interface LossValues {
  /** `[N]`, or `[N, …]` with one value per position; a scalar for a loss over a whole batch. */
  readonly values: tf.Tensor;
  /** The values that count, of the same shape; all where absent. */
  readonly mask?: tf.Tensor;
}

/** Returns the loss of a batch, differentiable in `output.values`. Targets are float32. */
export type LossFunction = (targets: tf.Tensor, output: Output) => tf.Tensor | LossValues;

/** A loss of Keras, under its function's name. */
export interface LossDefinition {
  readonly className: string;
  readonly aliases?: readonly string[];
  /** `values` */
  readonly targets?: TargetForm;
  /** Kind of task that the loss implies. */
  readonly kind: "classes" | "labels" | "values" | "any";
  readonly defaults?: LossSettings;
  /** @throws {UsageError} for a value that the loss does not take. */
  readonly create: (settings: LossSettings) => LossFunction;
}
