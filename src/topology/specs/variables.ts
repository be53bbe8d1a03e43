import type { Json, JsonObject } from "../../checkpoint.ts";
import type { DType } from "../../tensor.ts";
import type { WeightSpec } from "../layer-spec.ts";

/** Configs of Keras's default initializers. */
export const glorotUniform: Json = { class_name: "GlorotUniform", config: { seed: null } };
export const zeros: Json = { class_name: "Zeros", config: {} };
export const ones: Json = { class_name: "Ones", config: {} };
export const orthogonal: Json = { class_name: "Orthogonal", config: { gain: 1, seed: null } };

/** Default arguments for the weights of a layer with a kernel and a bias. */
export const kernelAndBias: JsonObject = {
  kernel_initializer: glorotUniform,
  bias_initializer: zeros,
  kernel_regularizer: null,
  bias_regularizer: null,
  kernel_constraint: null,
  bias_constraint: null,
};

interface VariableOptions {
  /** Prefix of the weight's arguments if it is not the weight's name: `depthwise` for `depthwise_initializer`. */
  readonly argument?: string;
  readonly trainable?: boolean;
  readonly dtype?: DType;
  readonly formerNames?: readonly string[];
}

/** Creates the spec of a weight whose initializer, regularizer and constraint are arguments in the layer's config. */
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
 * Adds the weights of LoRA if the config has a `lora_rank`: the kernel, which is the first weight, does not train, and
 * two low-rank matrices do (`enable_lora` of `keras/src/layers/core/dense.py`). Returns the weights unchanged
 * otherwise.
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
    thin("b", [rank, ...kernel.shape.slice(-1)]),
  ];
}
