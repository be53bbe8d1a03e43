/** Features of inputs that are read in parts: neither the inputs nor the features have to fit into memory. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { tf } from "../engine/tf.ts";
import { DataError } from "../errors.ts";
import { uploadPadded } from "../model/uploads.ts";
import type { InputTensor } from "../tensor.ts";
import { elementCount, formatShape, sameShape } from "../tensor.ts";
import type { ArrayFeatureOptions } from "./array-features.ts";
import { rowHash } from "./array-features.ts";
import type { WritableRows } from "./sample-rows.ts";
import { writableRows } from "./sample-rows.ts";
import type { StaticProgram } from "./trunk.ts";
import { createTrunk } from "./trunk.ts";

export interface StoredFeatureOptions extends ArrayFeatureOptions {
  /** Number of samples. */
  readonly count: number;
  /** Folder of the features' files. */
  readonly folder: string;
  /** Returns rows `from` to `to` (exclusive) in model-input order. */
  readonly read: (from: number, to: number) => readonly InputTensor[];
}

/**
 * Returns the frontier tensors of stored inputs, each row run once. The caller disposes them.
 * @throws {DataError} where rows differ in shape.
 */
export async function extractStored(
  part: StaticProgram,
  { count, folder, read, batchSize, drawn, signal, onProgress }: StoredFeatureOptions,
): Promise<WritableRows[]> {
  const trunk = createTrunk(part);
  const all: WritableRows[] = [];
  try {
    for (let from = 0; from < count; from += batchSize) {
      signal?.throwIfAborted();
      const rows = Math.min(batchSize, count - from);
      const inputs = read(from, from + rows);
      const feeds = inputs.map((input) => uploadPadded(input, 0, rows, batchSize));
      const views =
        drawn && Array.from({ length: rows }, (_, row) => ({ ...drawn, contentHash: rowHash(inputs, row) }));
      const features = await trunk.run(feeds, views);
      for (const [index, feature] of features.entries()) {
        const rowShape = feature.shape.slice(1);
        const values = (await feature.data()) as Float32Array;
        const kept = all[index] ?? writableRows(rowShape, count, folder);
        all[index] = kept;
        if (!sameShape(kept.rowShape, rowShape)) throw otherShape(kept.rowShape, rowShape);
        const size = elementCount(rowShape);
        for (let row = 0; row < rows; row++)
          kept.set(from + row, values.subarray(row * size, (row + 1) * size));
      }
      tf.dispose([...feeds, ...features]);
      onProgress?.(from + rows);
      await nextTurn();
    }
  } catch (error) {
    for (const rows of all) rows.dispose();
    throw error;
  } finally {
    trunk.dispose();
  }
  return all;
}

function otherShape(wanted: readonly number[], got: readonly number[]): DataError {
  return new DataError(
    `inputs: expected batches of which the frozen layers make features of one shape, got ${formatShape(wanted)} and ${formatShape(got)}. Pad the inputs to one length.`,
    "feature-shapes",
  );
}
