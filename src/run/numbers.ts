import type { Weights } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import { toFloat32 } from "../tensor.ts";

/** @throws {KerasFileError} naming the first weight that holds NaN: it would spread to every feature and every weight. */
export function requireNumbers(weights: Weights, label: string): void {
  for (const [path, tensors] of weights) {
    const bad = tensors.find(
      (tensor) => /float/.test(tensor.dtype) && toFloat32(tensor).includes(Number.NaN),
    );
    if (bad === undefined) continue;
    throw new KerasFileError(
      `${label}: ${path}/${bad.name}: expected numbers, got NaN. The file was damaged or saved by a training that failed: use another copy.`,
      "nan",
    );
  }
}
