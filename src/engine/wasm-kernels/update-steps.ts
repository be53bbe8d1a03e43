/** @file Updates of optimizers in one pass over a variable. */
import type { Tuple } from "../../tensor.ts";
import type { Shape } from "./replace-kernel.ts";
import { onHeap } from "./replace-kernel.ts";
import type { SimdKernels } from "./simd.ts";

interface AdamSettings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** The number of this update, from 1. */
  readonly step: number;
}

interface RmspropSettings {
  readonly learningRate: number;
  readonly rho: number;
  readonly epsilon: number;
}

/** Registers the updates of one variable by Adam and by RMSprop, which overwrite the averages. */
export function registerUpdateSteps(): void {
  onHeap("RmspropStep", {
    reads: ["variable", "gradient", "velocity"],
    shapes: ["variable"],
    shapeOf: ([variable]) => variable,
    compute: rmspropStep,
  });
  onHeap("AdamStep", {
    reads: ["variable", "gradient", "momentum", "velocity"],
    shapes: ["variable"],
    shapeOf: ([variable]) => variable,
    compute: adamStep,
  });
}

function adamStep(
  [variable, gradient, momentum, velocity]: Tuple<Float32Array, 4>,
  moved: Float32Array,
  { learningRate, beta1, beta2, epsilon, step }: AdamSettings,
  _shapes: readonly Shape[],
  simd: SimdKernels,
): void {
  const correction = Math.sqrt(1 - Math.fround(beta2) ** step) / (1 - Math.fround(beta1) ** step);
  simd.adam(
    variable.byteOffset,
    gradient.byteOffset,
    momentum.byteOffset,
    velocity.byteOffset,
    moved.byteOffset,
    variable.length,
    1 - Math.fround(beta1),
    1 - Math.fround(beta2),
    learningRate * correction,
    epsilon,
  );
}

function rmspropStep(
  [variable, gradient, velocity]: Tuple<Float32Array, 3>,
  moved: Float32Array,
  { learningRate, rho, epsilon }: RmspropSettings,
  _shapes: readonly Shape[],
  simd: SimdKernels,
): void {
  simd.rmsprop(
    variable.byteOffset,
    gradient.byteOffset,
    velocity.byteOffset,
    moved.byteOffset,
    variable.length,
    rho,
    1 - rho,
    learningRate,
    epsilon,
  );
}
