import { tf } from "../engine/tf.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, toFloat32 } from "../tensor.ts";

/** Rows `from` to `to` (exclusive) of a tensor, on the engine as float32. The caller disposes it. */
export function uploadRows(tensor: Tensor, from: number, to: number): tf.Tensor {
  return uploadPadded(tensor, from, to - from, to - from);
}

/** `rows` rows from `from` on, followed by zeros up to `paddedRows`. The caller disposes it. */
export function uploadPadded(tensor: Tensor, from: number, rows: number, paddedRows: number): tf.Tensor {
  const rowShape = tensor.shape.slice(1);
  const size = elementCount(rowShape);
  const values = new Float32Array(paddedRows * size);
  values.set(rowsOf(tensor, size, from, rows));
  return tf.tensor(values, [paddedRows, ...rowShape], "float32");
}

function rowsOf(tensor: Tensor, size: number, from: number, rows: number): Float32Array {
  const data = tensor.data.subarray(from * size, (from + rows) * size);
  return toFloat32({ ...tensor, shape: [rows, ...tensor.shape.slice(1)], data });
}
