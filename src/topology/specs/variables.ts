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
