import type { Weight } from "../../checkpoint.ts";
import { elementCount, float32Tensor, roundHalfEven, sizeAt, toFloat32 } from "../../tensor.ts";
import type { WeightSpec } from "../../topology/layer-spec.ts";
import type { PlacedWeight } from "../stored-weights.ts";

/**
 * @file LoRA in Keras 3's archives: the low-rank matrices are merged into the kernel that they adapt, and are read back
 * as zeros.
 */

/** Returns a layer's weights as an archive holds them: the kernel plus `scale * a b`, without `a` and `b`. */
export function mergedLowRank(weights: readonly Weight[], specs: readonly WeightSpec[]): readonly Weight[] {
  const thin = specs.filter((spec) => spec.mergedInto);
  const merge = thin[0]?.mergedInto;
  if (!merge) return weights;
  const { weight: target, scale } = merge;
  const [a, b] = thin.map(({ name }) => weights.find((weight) => weight.name === name));
  const kept = weights.filter((weight) => weight !== a && weight !== b);
  const kernel = weights.find((weight) => weight.name === target);
  if (!a || !b || !kernel || toFloat32(b).every((value) => value === 0)) return kept;
  const change = lowRankChange(a, b, scale);
  const quantized = quantizedScale(weights, target);
  const merged = quantized ? adaptedInt8(kernel, quantized, change) : [adapted(kernel, change)];
  return kept.map((weight) => merged.find(({ name }) => name === weight.name) ?? weight);
}

/** Returns the amount to add to the kernel's value at a flat index. */
type Change = (index: number) => number;

function lowRankChange(a: Weight, b: Weight, scale: number): Change {
  const [rank, columns] = b.shape as [number, number];
  const [left, right] = [toFloat32(a), toFloat32(b)];
  return (index) => {
    const row = Math.floor(index / columns);
    const column = index % columns;
    let change = 0;
    for (let inner = 0; inner < rank; inner++) {
      change += left[row * rank + inner]! * right[inner * columns + column]!;
    }
    return scale * change;
  };
}

function adapted(kernel: Weight, change: Change): Weight {
  const values = Float32Array.from(toFloat32(kernel), (value, index) => value + change(index));
  return { name: kernel.name, ...float32Tensor(values, kernel.shape) };
}

function quantizedScale(weights: readonly Weight[], target: string): Weight | undefined {
  return weights.find((weight) => weight.name === `${target}_scale`);
}

/**
 * Quantizes the adapted kernel again with a new scale, as Keras does (`_get_kernel_with_merged_lora` of
 * `keras/src/layers/core/dense.py`): each row of an embedding, or each column of another kernel, by its largest value.
 */
function adaptedInt8(kernel: Weight, scale: Weight, change: Change): readonly Weight[] {
  const columns = sizeAt(kernel.shape, -1);
  const groupOf = (index: number): number =>
    kernel.name === "embeddings" ? Math.floor(index / columns) : index % columns;
  const scales = toFloat32(scale);
  const values = Float32Array.from(
    toFloat32(kernel),
    (value, index) => value / scales[groupOf(index)]! + change(index),
  );
  const largest = new Float32Array(scales.length);
  values.forEach((value, index) => {
    largest[groupOf(index)] = Math.max(largest[groupOf(index)]!, Math.abs(value));
  });
  const renewed = largest.map((most) => 127 / (most + 1e-7));
  const data = Int8Array.from(values, (value, index) =>
    Math.max(-127, Math.min(127, roundHalfEven(Math.fround(value * renewed[groupOf(index)]!)))),
  );
  return [
    { name: kernel.name, dtype: "int8", shape: kernel.shape, data },
    { name: scale.name, ...float32Tensor(renewed, scale.shape) },
  ];
}

/** Returns a low-rank matrix that no archive holds: zeros, as in Keras after reading. */
export function absentLowRank({ name, shape }: WeightSpec): PlacedWeight {
  const read = (): ReturnType<typeof float32Tensor> =>
    float32Tensor(new Float32Array(elementCount(shape)), shape);
  return { name, stored: { name, dtype: "float32", shape, read } };
}
