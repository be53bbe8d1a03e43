import { setImmediate as nextTurn } from "node:timers/promises";
import { tf } from "../engine/tf.ts";
import { uploadPadded } from "../model/feeds.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import { elementCount, float32Tensor } from "../tensor.ts";
import type { StaticProgram } from "./trunk.ts";
import { createTrunk } from "./trunk.ts";

export interface ArrayFeatureOptions {
  /** Rows that every batch is padded to. */
  readonly batchSize: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** The frontier tensors `[N, …]` of arrays in model-input order, each row run once. */
export async function extractArrays(
  part: StaticProgram,
  inputs: readonly InputTensor[],
  { batchSize, signal, onProgress }: ArrayFeatureOptions,
): Promise<Tensor[]> {
  const samples = inputs[0]!.shape[0]!;
  const trunk = createTrunk(part);
  const parts: { values: Float32Array; rowShape: readonly number[] }[] = [];
  try {
    for (let from = 0; from < samples; from += batchSize) {
      signal?.throwIfAborted();
      const rows = Math.min(batchSize, samples - from);
      const feeds = inputs.map((input) => uploadPadded(input, from, rows, batchSize));
      const features = trunk.run(feeds);
      for (const [index, feature] of features.entries()) {
        const rowShape = feature.shape.slice(1);
        const size = elementCount(rowShape);
        parts[index] ??= { values: new Float32Array(samples * size), rowShape };
        const values = (await feature.data()) as Float32Array;
        parts[index].values.set(values.subarray(0, rows * size), from * size);
      }
      tf.dispose([...feeds, ...features]);
      onProgress?.(from + rows);
      await nextTurn();
    }
  } finally {
    trunk.dispose();
  }
  return parts.map(({ values, rowShape }) => float32Tensor(values, [samples, ...rowShape]));
}
