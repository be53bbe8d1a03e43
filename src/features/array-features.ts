import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { tf } from "../engine/tf.ts";
import { DataError } from "../errors.ts";
import { uploadPadded } from "../model/uploads.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import { elementCount, float32Tensor, formatShape, sameShape } from "../tensor.ts";
import type { StaticProgram } from "./trunk.ts";
import { createTrunk } from "./trunk.ts";

export interface ArrayFeatureOptions {
  /** The number of rows that every batch is padded to. */
  readonly batchSize: number;
  /** The view that random image layers which the model begins with draw of each row; none where absent. */
  readonly drawn?: { readonly view: number; readonly seed: number } | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number) => void) | undefined;
}

interface Rows {
  readonly values: Float32Array;
  readonly rowShape: readonly number[];
}

/** Returns the frontier tensors `[N, …]` of arrays in model-input order, each row run once. */
export async function extractArrays(
  part: StaticProgram,
  inputs: readonly InputTensor[],
  { batchSize, drawn, signal, onProgress }: ArrayFeatureOptions,
): Promise<Tensor[]> {
  const samples = inputs[0]!.shape[0]!;
  const trunk = createTrunk(part);
  const parts: Rows[] = [];
  try {
    for (let from = 0; from < samples; from += batchSize) {
      signal?.throwIfAborted();
      const rows = Math.min(batchSize, samples - from);
      const feeds = inputs.map((input) => uploadPadded(input, from, rows, batchSize));
      const views =
        drawn &&
        Array.from({ length: rows }, (_, row) => ({ ...drawn, contentHash: rowHash(inputs, from + row) }));
      const features = await trunk.run(feeds, views);
      for (const [index, feature] of features.entries()) {
        const rowShape = feature.shape.slice(1);
        const values = (await feature.data()) as Float32Array;
        const part = roomFor(parts[index], rowShape, samples);
        parts[index] = part;
        setRows(part, from, values.subarray(0, rows * elementCount(rowShape)), rowShape);
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

/** Returns the sha256 of one row's values of all inputs, in hexadecimal. */
export function rowHash(inputs: readonly InputTensor[], row: number): string {
  const hash = createHash("sha256");
  for (const { dtype, shape, data } of inputs) {
    const size = elementCount(shape.slice(1));
    hash.update(JSON.stringify([dtype, shape.slice(1)]));
    if (dtype === "string") hash.update(JSON.stringify(data.slice(row * size, (row + 1) * size)));
    else {
      const { buffer, byteOffset, byteLength } = data.subarray(row * size, (row + 1) * size);
      hash.update(new Uint8Array(buffer, byteOffset, byteLength));
    }
  }
  return hash.digest("hex");
}

/**
 * Returns rows that hold those of this batch too. Tokens of texts are as many as the longest text of a batch has: shorter rows end in zeros, which
 * is the token that pads them.
 * @throws {DataError} where rows of several dimensions differ.
 */
function roomFor(rows: Rows | undefined, rowShape: readonly number[], samples: number): Rows {
  if (!rows) return { values: new Float32Array(samples * elementCount(rowShape)), rowShape };
  if (sameShape(rows.rowShape, rowShape)) return rows;
  if (rowShape.length !== 1) {
    throw new DataError(
      `inputs: expected texts of which the frozen layers make features of one shape, got ${formatShape(rows.rowShape)} and ${formatShape(rowShape)}. Give TextVectorization an output_sequence_length and save again, or unfreeze the layer behind it.`,
    );
  }
  if (rowShape[0]! < rows.rowShape[0]!) return rows;
  const wider: Rows = { values: new Float32Array(samples * rowShape[0]!), rowShape };
  setRows(wider, 0, rows.values, rows.rowShape);
  return wider;
}

/** Copies rows to `from` and on; what they lack of the width stays zero. */
function setRows(
  { values, rowShape: [width = 1, ...rest] }: Rows,
  from: number,
  given: Float32Array,
  rowShape: readonly number[],
): void {
  const size = width * elementCount(rest);
  const ownSize = elementCount(rowShape);
  if (size === ownSize) {
    values.set(given, from * size);
    return;
  }
  for (let row = 0; (row + 1) * ownSize <= given.length && ownSize > 0; row++) {
    values.set(given.subarray(row * ownSize, (row + 1) * ownSize), (from + row) * size);
  }
}
