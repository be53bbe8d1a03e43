import type { Checkpoint, Json, Weights } from "../src/checkpoint.ts";

/** Returns a layer of a Sequential as Keras writes it. */
export function layer(className: string, config: Readonly<Record<string, Json>>): Json {
  return { class_name: className, config };
}

/** Returns a Sequential of Keras 3 that reads float32 samples of `inputShape`. */
export function sequential(
  name: string,
  inputShape: readonly number[],
  layers: readonly Json[],
  weights: Weights,
): Checkpoint {
  const input = layer("InputLayer", { name: "in", batch_shape: [null, ...inputShape], dtype: "float32" });
  return {
    format: "keras",
    kerasVersion: "3.15.1",
    modelConfig: { class_name: "Sequential", config: { name, layers: [input, ...layers] } },
    weights,
    notes: {},
  };
}
