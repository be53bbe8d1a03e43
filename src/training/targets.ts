import type { Tensor } from "../tensor.ts";
import type { Loss } from "./losses.ts";

/** Labels as the loss takes them: indices `[N]`, one-hot `[N, K]`, or 0 and 1 `[N, 1]` for a single output unit. */
export function targetsOf(labels: readonly number[], units: number, loss: Loss): Tensor {
  if (loss.targets === "indices" || units === 1) {
    const shape = loss.targets === "indices" ? [labels.length] : [labels.length, 1];
    return { dtype: "float32", shape, data: Float32Array.from(labels) };
  }
  const data = new Float32Array(labels.length * units);
  labels.forEach((label, row) => {
    data[row * units + label] = 1;
  });
  return { dtype: "float32", shape: [labels.length, units], data };
}

/** Weights by class index for a `class_weight` of names or indices, or balanced over `labels`. */
export function classWeights(
  classWeight: "balanced" | Readonly<Record<string, number>>,
  classNames: readonly string[],
  labels: readonly number[],
): Record<string, number> {
  if (classWeight !== "balanced") {
    return Object.fromEntries(
      Object.entries(classWeight).map(([key, weight]) => {
        const index = classNames.indexOf(key);
        return [index >= 0 ? String(index) : key, weight];
      }),
    );
  }
  return Object.fromEntries(
    classNames.map((_, index) => {
      const count = labels.filter((label) => label === index).length;
      return [String(index), labels.length / (classNames.length * count)];
    }),
  );
}
