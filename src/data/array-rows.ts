/** Rows of tensors whose first dimension is the sample. */
import { createHash } from "node:crypto";
import type { InputTensor, TensorData } from "../tensor.ts";

/** Returns the rows of a tensor at these indices, copied, in this order. */
export function takeRows<T extends InputTensor>(tensor: T, rows: readonly number[]): T;
export function takeRows(tensor: InputTensor, rows: readonly number[]): InputTensor {
  const [count = 0, ...rest] = tensor.shape;
  const width = count === 0 ? 0 : tensor.data.length / count;
  const shape = [rows.length, ...rest];
  if (tensor.dtype === "string") {
    const { data } = tensor;
    return {
      dtype: "string",
      shape,
      data: rows.flatMap((row) => data.slice(row * width, (row + 1) * width)),
    };
  }
  const data = new (tensor.data.constructor as new (length: number) => TensorData)(rows.length * width);
  rows.forEach((row, index) => {
    data.set(tensor.data.subarray(row * width, (row + 1) * width) as never, index * width);
  });
  return { dtype: tensor.dtype, shape, data };
}

/** Returns the sha256 of one row's values, in hexadecimal. */
export function rowHash(tensor: InputTensor, row: number): string {
  const [count = 0] = tensor.shape;
  const width = count === 0 ? 0 : tensor.data.length / count;
  const hash = createHash("sha256");
  if (tensor.dtype === "string")
    return hash.update(JSON.stringify(tensor.data.slice(row * width, (row + 1) * width))).digest("hex");
  return hash.update(tensor.data.subarray(row * width, (row + 1) * width)).digest("hex");
}
