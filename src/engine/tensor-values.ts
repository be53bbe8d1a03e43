import { lazyTensor } from "../lazy-tensor.ts";
import type { Tensor } from "../tensor.ts";
import { nativeBackend } from "./native-engine.ts";
import type { tf } from "./tf.ts";

/** Returns the values of a float32 tensor as a new array, which is the caller's. Only for values that the engine hands out at once. */
export function valuesOf(tensor: tf.Tensor): Float32Array {
  const values = tensor.dataSync<"float32">();
  // The native engine copies what it has; before a tensor's first use it has only the array that the tensor was made of.
  const isCopy = nativeBackend()?.tensorMap.get(tensor.dataId).values === null;
  return isCopy ? values : Float32Array.from(values);
}

/**
 * Passes the values of a new tensor to the engine, and returns the tensor. The native engine keeps the array that a tensor was made of
 * until its first use else, beside those of all other weights.
 */
export function handedOver(tensor: tf.Tensor): tf.Tensor {
  nativeBackend()?.getInputTensorIds([tensor]);
  return tensor;
}

/**
 * Returns a float32 tensor, with further facts such as a weight's name, that reads its values off the engine each time that they are asked
 * for, for as long as `tensor` lives.
 */
export function heldTensor<Facts extends object>(
  tensor: tf.Tensor,
  facts: Facts = {} as Facts,
): Facts & Tensor {
  return lazyTensor({ ...facts, dtype: "float32" as const, shape: tensor.shape }, () => valuesOf(tensor));
}
