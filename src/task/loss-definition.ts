import type { Json } from "../checkpoint.ts";
import type { tf } from "../engine/tf.ts";
import type { Output } from "./model-output.ts";

export type LossSettings = Readonly<Record<string, Json>>;

/** `[N]` (or `[N, …]` for outputs of higher rank): differentiable in `output.values`. */
export type PerSample = (targets: tf.Tensor, output: Output) => tf.Tensor;

/** A loss of Keras, under its function's name. */
export interface LossDefinition {
  readonly className: string;
  readonly aliases?: readonly string[];
  readonly targets?: "indices";
  readonly defaults?: LossSettings;
  readonly perSample: (settings: LossSettings) => PerSample;
}

/** Keras's `epsilon()`. */
export const epsilon = 1e-7;
