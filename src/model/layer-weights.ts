import type { Weight, Weights } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { elementCount, toFloat32 } from "../tensor.ts";

/** A layer's weights on the engine, by their own names. */
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
  const values = weight.data.length === elementCount(weight.shape) ? toFloat32(weight) : new Float32Array();
  return tf.keep(tf.tensor(values, [...weight.shape], "float32"));
}
