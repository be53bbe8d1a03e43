import type { JsonObject } from "../../checkpoint.ts";
import type { WeightSpec } from "../layer-spec.ts";
import { zeros } from "./variables.ts";

/**
 * The weights of a layer with LoRA, where its config has a `lora_rank`: its kernel, the first of them, stands still, and two thin
 * matrices train (`enable_lora` of `keras/src/layers/core/dense.py`). Else the weights as they are.
 */
export function withLowRank(config: JsonObject, weights: readonly WeightSpec[]): WeightSpec[] {
  const { lora_rank: rank, lora_alpha: alpha } = config;
  const [kernel, ...others] = weights;
  if (typeof rank !== "number" || !kernel) return [...weights];
  const thin = (side: "a" | "b", shape: readonly number[]): WeightSpec => ({
    name: `lora_${kernel.name}_${side}`,
    shape,
    trainable: true,
    initializer: side === "a" ? { class_name: "HeUniform", config: { seed: null } } : zeros,
    regularizer: kernel.regularizer ?? null,
    mergedInto: { weight: kernel.name, scale: (typeof alpha === "number" ? alpha : rank) / rank },
  });
  return [
    { ...kernel, trainable: false },
    ...others,
    thin("a", [...kernel.shape.slice(0, -1), rank]),
    thin("b", [rank, kernel.shape.at(-1)!]),
  ];
}
