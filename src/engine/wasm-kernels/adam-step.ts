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
  onHeap<Settings>("AdamStep", ({ variable }) => variable!.shape, {
    reads: ["variable", "gradient", "momentum", "velocity"],
    compute: ([variable, gradient, momentum, velocity], moved, settings) =>
      adamStep(variable!, gradient!, momentum!, velocity!, moved, settings),
  });
}

function adamStep(
  variable: Float32Array,
  gradient: Float32Array,
  momentum: Float32Array,
  velocity: Float32Array,
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
