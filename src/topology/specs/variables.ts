import type { Json, JsonObject } from "../../checkpoint.ts";
import type { DType } from "../../tensor.ts";
import type { WeightSpec } from "../layer-spec.ts";

export const glorotUniform: Json = { class_name: "GlorotUniform", config: { seed: null } };
export const zeros: Json = { class_name: "Zeros", config: {} };
export const ones: Json = { class_name: "Ones", config: {} };
export const orthogonal: Json = { class_name: "Orthogonal", config: { gain: 1, seed: null } };

/** Arguments for the variables of a layer that multiplies by a kernel and adds a bias, with Keras's defaults. */
export const kernelAndBias: JsonObject = {
  kernel_initializer: glorotUniform,
  bias_initializer: zeros,
  kernel_regularizer: null,
  bias_regularizer: null,
  kernel_constraint: null,
  bias_constraint: null,
};

interface VariableOptions {
  /** What the config's arguments call it, where that is not its own name: `depthwise` for `depthwise_initializer`. */
  readonly argument?: string;
  readonly trainable?: boolean;
  readonly dtype?: DType;
  readonly formerNames?: readonly string[];
}

/** A variable whose initializer, regularizer and constraint stand in the layer's config. */
export function variable(
  config: JsonObject,
  name: string,
  shape: readonly number[],
  options: VariableOptions = {},
): WeightSpec {
  const { argument = name, trainable = true, ...rest } = options;
  const constraint = config[`${argument}_constraint`] ?? null;
  return {
    name,
    shape,
    trainable,
    initializer: config[`${argument}_initializer`] ?? null,
    regularizer: config[`${argument}_regularizer`] ?? null,
    ...(constraint !== null && { constraint }),
    ...rest,
  };
}

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
