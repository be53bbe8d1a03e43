import type { Tuple } from "../../tensor.ts";
import { onHeap } from "./replace-kernel.ts";

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
): void {
  const [first, second] = [1 - Math.fround(beta1), 1 - Math.fround(beta2)];
  const correction = Math.sqrt(1 - Math.fround(beta2) ** step) / (1 - Math.fround(beta1) ** step);
  const rate = Math.fround(learningRate * correction);
  for (let index = 0; index < variable.length; index++) {
    const slope = gradient[index]!;
    const mean = momentum[index]! + (slope - momentum[index]!) * first;
    const square = velocity[index]! + (slope * slope - velocity[index]!) * second;
    momentum[index] = mean;
    velocity[index] = square;
    moved[index] = variable[index]! - (mean * rate) / (Math.sqrt(square) + epsilon);
  }
}
