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

/** A loss before it is reduced, with its gradient. */
export interface SlopedValues {
  /** `[N]`, or `[N, …]` with one value per position. */
  readonly values: tf.Tensor;
  /** The gradient of the sum of all values by the output's values, but for `factor`. */
  readonly slopes: tf.Tensor;
  readonly factor: number;
}

/** Returns a loss with its gradient in a few operations, or null where these targets or this output take the long way. */
export type SlopedFunction = (targets: tf.Tensor, output: Output) => SlopedValues | null;

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
  /** The same with a gradient, for losses of most heads: a step of a small head costs little else. */
  readonly sloped?: (settings: LossSettings) => SlopedFunction;
}
