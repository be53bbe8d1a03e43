import type { Tuple } from "../../tensor.ts";
import type { Shape } from "./replace-kernel.ts";
import { onHeap } from "./replace-kernel.ts";
import type { SimdKernels } from "./simd.ts";

interface Settings {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly step: number;
}

/** Registers Adam's update of one variable, which overwrites the averages. */
export function registerAdamStep(): void {
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
  { learningRate, beta1, beta2, epsilon, step }: Settings,
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
