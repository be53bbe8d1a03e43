import { tf } from "../engine/tf.ts";
import { shuffled } from "../random.ts";
import type { OutputTargets } from "../task/output-targets.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor, gatheredRows, toFloat32 } from "../tensor.ts";
import type { Batch } from "./batch.ts";
import type { Examples } from "./example-set.ts";

/** Returns the rows of each batch of one epoch, in the epoch's order. The last batch may be smaller. */
export function shuffledBatches(
  samples: number,
  batchSize: number,
  seed: number,
  epoch: number,
): readonly Uint32Array[] {
  return chunks(permutation(samples, seed, epoch), batchSize);
}

/** Returns the rows of each batch in the order of the samples. */
export function orderedBatches(samples: number, batchSize: number): readonly Uint32Array[] {
  return chunks(
    Uint32Array.from({ length: samples }, (_, row) => row),
    batchSize,
  );
}

/** Copies the given rows of the features to the engine; the caller disposes the batch with `disposeBatch`. */
export async function uploadBatch({ features, targets }: Examples, rows: Uint32Array): Promise<Batch> {
  const picked = await Promise.all(features.map((source) => source.pick(rows)));
  return {
    features: picked.map(upload),
    targets: targets.map((own) => own && pickedTargets(own, rows)),
  };
}

/** Returns the targets of some samples, with their weights. */
export function pickedTargets({ targets, weights }: OutputTargets, rows: ArrayLike<number>): OutputTargets {
  return {
    targets: pickedRows(targets, rows),
    ...(weights && { weights: pickedRows(weights, rows) }),
  };
}

function pickedRows({ shape, ...tensor }: Tensor, rows: ArrayLike<number>): Tensor {
  const rowShape = shape.slice(1);
  const size = elementCount(rowShape);
  const picked = gatheredRows(toFloat32({ shape, ...tensor }), size, rows);
  return float32Tensor(picked, [rows.length, ...rowShape]);
}

export function disposeBatch(batch: Batch): void {
  tf.dispose([...batch.features]);
}

/** Returns a permutation of `0 … count-1`, the same for the same seed and epoch on every machine. */
export function permutation(count: number, seed: number, epoch: number): Uint32Array {
  const random = splitMix32(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(epoch + 1, 0x85ebca77));
  return shuffled(count, (bound) => Math.floor((random() / 2 ** 32) * bound));
}

function splitMix32(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let hash = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    hash = Math.imul(hash ^ (hash >>> 15), 0x735a2d97);
    return (hash ^ (hash >>> 15)) >>> 0;
  };
}

function chunks(rows: Uint32Array, size: number): Uint32Array[] {
  const count = Math.ceil(rows.length / size);
  return Array.from({ length: count }, (_, index) => rows.subarray(index * size, (index + 1) * size));
}

function upload({ data, shape }: Tensor): tf.Tensor {
  return tf.tensor(data as Float32Array, [...shape], "float32");
}
