/** @file Single numbers off the engine, which on a GPU cost a turn and the way there: they are read together. */
import { tf } from "./tf.ts";
import { readsLater } from "./webgpu/repeatable.ts";

/** Returns the values of tensors of one element each, read at once, and releases the tensors. */
export async function takeScalars(scalars: readonly tf.Tensor[]): Promise<number[]> {
  try {
    if (!readsLater()) return scalars.map((scalar) => scalar.dataSync()[0] ?? Number.NaN);
    const read = await Promise.all(scalars.map((scalar) => scalar.data()));
    return read.map(([value]) => value ?? Number.NaN);
  } finally {
    tf.dispose([...scalars]);
  }
}

/** Brings the values of tensors to where `dataSync` finds them, for as long as the tensors live. */
export async function fetchValues(tensors: readonly tf.Tensor[]): Promise<void> {
  if (readsLater()) await Promise.all(tensors.map((tensor) => tensor.data()));
}
