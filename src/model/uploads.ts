import type { Weight, Weights } from "../checkpoint.ts";
import { handedOver } from "../engine/tensor-values.ts";
import { tf } from "../engine/tf.ts";
import { isLoaded } from "../lazy-tensor.ts";
import type { InputTensor, StringTensor, Tensor } from "../tensor.ts";
import { elementCount, toFloat32 } from "../tensor.ts";

/** The weights of layers on the engine, by layer path and weight name. */
export type LayerWeights = Map<string, Record<string, tf.Tensor>>;

/** Copies the weights of the given layers to the engine as float32. The caller disposes them with `disposeWeights`. */
export function uploadWeights(weights: Weights, paths: Iterable<string>): LayerWeights {
  const uploaded: LayerWeights = new Map();
  for (const path of new Set(paths)) {
    const layer = weights.get(path) ?? [];
    uploaded.set(path, Object.fromEntries(layer.map((weight) => [weight.name, uploadWeight(weight)])));
  }
  return uploaded;
}

export function disposeWeights(weights: LayerWeights): void {
  for (const layer of weights.values()) for (const tensor of Object.values(layer)) tensor.dispose();
  weights.clear();
}

function uploadWeight(weight: Weight): tf.Tensor {
  const values = isLoaded(weight) ? toFloat32(weight) : new Float32Array();
  return tf.keep(handedOver(tf.tensor(values, [...weight.shape], "float32")));
}

/**
 * Copies rows `from` to `to` (exclusive) of a tensor to the engine: numbers as float32, texts as texts. The caller
 * disposes the result.
 */
export function uploadRows(tensor: InputTensor, from: number, to: number): tf.Tensor {
  return uploadPadded(tensor, from, to - from, to - from);
}

/**
 * Copies `rows` rows from `from` on, followed by zeros or empty texts up to `paddedRows`. The caller disposes the
 * result.
 */
export function uploadPadded(tensor: InputTensor, from: number, rows: number, paddedRows: number): tf.Tensor {
  if (tensor.dtype === "string") return uploadTexts(tensor, from, rows, paddedRows);
  const rowShape = tensor.shape.slice(1);
  const size = elementCount(rowShape);
  const given = rowsOf(tensor, size, from, rows);
  return tf.tensor(
    rows === paddedRows ? given : padded(given, paddedRows * size),
    [paddedRows, ...rowShape],
    "float32",
  );
}

function padded(given: Float32Array, size: number): Float32Array {
  const values = new Float32Array(size);
  values.set(given);
  return values;
}

function uploadTexts(
  { shape, data }: StringTensor,
  from: number,
  rows: number,
  paddedRows: number,
): tf.Tensor {
  const rowShape = shape.slice(1);
  const size = elementCount(rowShape);
  const padding = new Array<string>((paddedRows - rows) * size).fill("");
  const texts = [...data.slice(from * size, (from + rows) * size), ...padding];
  return tf.tensor(texts, [paddedRows, ...rowShape], "string");
}

function rowsOf(tensor: Tensor, size: number, from: number, rows: number): Float32Array {
  const data = tensor.data.subarray(from * size, (from + rows) * size);
  return toFloat32({ ...tensor, shape: [rows, ...tensor.shape.slice(1)], data });
}
