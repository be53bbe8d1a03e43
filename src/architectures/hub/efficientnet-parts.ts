import type { JsonObject } from "../../checkpoint.ts";

/** The arguments of one block of EfficientNet. */
export interface EfficientNetBlock {
  readonly inputs: number;
  readonly outputs: number;
  readonly size: number;
  readonly stride: number;
  /** True if the block never adds its input to its result. */
  readonly isPlain: boolean;
  /** Factor by which the block widens its inputs. */
  readonly expansion: number;
  /** Filters of the squeeze as a share of the block's inputs; 0 for none. */
  readonly squeeze: number;
  readonly dropout: number;
  readonly activation: string;
  /** Activation behind the last normalization; null for none. */
  readonly projection: string | null;
  readonly momentum: number;
  readonly epsilon: number;
  /** Beginning of its layers' names: `block1a_`. */
  readonly name: string;
}

/** Returns the arguments of a convolution without bias, with Keras's initializer for EfficientNets. */
export function convolution(filters: number, size: number, stride = 1): JsonObject {
  return {
    filters,
    kernel_size: [size, size],
    strides: [stride, stride],
    use_bias: false,
    kernel_initializer: initializer,
  };
}

export const initializer: JsonObject = {
  module: "keras.initializers",
  class_name: "VarianceScaling",
  config: { scale: 2.0, mode: "fan_out", distribution: "truncated_normal", seed: null },
  registered_name: null,
};

/** Returns whether a block adds its input to its result. */
export function isResidual({ stride, inputs, outputs, isPlain }: EfficientNetBlock): boolean {
  return stride === 1 && inputs === outputs && !isPlain;
}

/** Returns the arguments of the two convolutions of a squeeze-and-excitation. */
export function squeezeSteps(
  { inputs, squeeze, activation }: EfficientNetBlock,
  filters: number,
): readonly [reduce: JsonObject, expand: JsonObject] {
  const reduced = Math.max(1, Math.trunc(inputs * squeeze));
  const own = { kernel_size: [1, 1], padding: "same", kernel_initializer: initializer };
  return [
    { filters: reduced, activation, ...own },
    { filters, activation: "sigmoid", ...own },
  ];
}
