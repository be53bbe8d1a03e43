import { tf } from "../engine/tf.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, toFloat32 } from "../tensor.ts";

/** Rows `from` to `to` (exclusive) of a tensor, on the engine as float32. The caller disposes it. */
export function uploadRows(tensor: Tensor, from: number, to: number): tf.Tensor {
  const rowShape = tensor.shape.slice(1);
  const row = elementCount(rowShape);
  const values = toFloat32(tensor).subarray(from * row, to * row);
  return tf.tensor(Float32Array.from(values), [to - from, ...rowShape], "float32");
}
