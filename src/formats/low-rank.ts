import type { Weight } from "../checkpoint.ts";
import { elementCount, float32Tensor, toFloat32 } from "../tensor.ts";
import type { WeightSpec } from "../topology/layer-spec.ts";
import type { PlacedWeight } from "./stored-weights.ts";

/** @file LoRA in Keras 3's archives: its thin matrices are merged into the kernel that they adapt, and come back as zeros. */

/** A layer's weights as an archive holds them: kernel plus `scale * a b`, without `a` and `b`. */
export function mergedLowRank(weights: readonly Weight[], specs: readonly WeightSpec[]): readonly Weight[] {
  const thin = specs.filter((spec) => spec.mergedInto);
  if (thin.length === 0) return weights;
  const [a, b] = thin.map(({ name }) => weights.find((weight) => weight.name === name));
  const { weight: target, scale } = thin[0]!.mergedInto!;
  return weights
    .filter((weight) => weight !== a && weight !== b)
    .map((weight) => (weight.name === target && a && b ? adapted(weight, a, b, scale) : weight));
}

function adapted(kernel: Weight, a: Weight, b: Weight, scale: number): Weight {
  const [rank, columns] = b.shape as [number, number];
  const [left, right] = [toFloat32(a), toFloat32(b)];
  const values = Float32Array.from(toFloat32(kernel), (value, index) => {
    const row = Math.floor(index / columns);
    const column = index % columns;
    let change = 0;
    for (let inner = 0; inner < rank; inner++) {
      change += left[row * rank + inner]! * right[inner * columns + column]!;
    }
    return value + scale * change;
  });
  return { name: kernel.name, ...float32Tensor(values, kernel.shape) };
}

/** A thin matrix that no archive holds: zeros, as Keras has it after reading. */
export function absentLowRank({ name, shape }: WeightSpec): PlacedWeight {
  const read = (): ReturnType<typeof float32Tensor> =>
    float32Tensor(new Float32Array(elementCount(shape)), shape);
  return { name, stored: { name, dtype: "float32", shape, read } };
}
