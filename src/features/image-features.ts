import { setImmediate as nextTurn } from "node:timers/promises";
import { contentHash } from "../data/content-hash.ts";
import type { ImageOptions } from "../data/images.ts";
import { imageBatches } from "../data/images.ts";
import { tf } from "../engine/tf.ts";
import { DataError } from "../errors.ts";
import { uploadPadded } from "../model/feeds.ts";
import type { Tensor } from "../tensor.ts";
import { elementCount, float32Tensor } from "../tensor.ts";
import type { FeatureCache } from "./cache/feature-cache.ts";
import type { FeatureTensor } from "./cache/record.ts";
import type { StaticProgram } from "./trunk.ts";
import { createTrunk } from "./trunk.ts";

export interface ImageFeatures {
  /** One `[N, …]` float32 tensor for each frontier tensor. */
  readonly features: readonly Tensor[];
  /** For each of the N, its index in the samples asked for. */
  readonly indices: readonly number[];
  readonly bad: readonly { readonly path: string; readonly reason: string }[];
  /** Of the N, how many came from the cache. */
  readonly cached: number;
}

export interface ImageFeatureOptions extends ImageOptions {
  /** What the frontier holds of one picture. */
  readonly tensors: readonly FeatureTensor[];
  /** Rows that every batch is padded to, so that a picture's features do not depend on its neighbours. */
  readonly batchSize: number;
  /** A picture that cannot be decoded is an error. */
  readonly strict?: boolean;
  /** Read first, and given what is computed. */
  readonly cache?: FeatureCache;
  /** sha256 of a file's bytes, in hexadecimal. */
  readonly hashOf?: (path: string) => Promise<string>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, cached: number) => void;
}

/**
 * The frontier tensors of pictures, in the order of `samples`: from the cache where they are there, else each picture run once.
 * A picture that cannot be decoded is listed and left alone. An aborted signal rejects with its reason; what is done stays cached.
 */
export async function extractImages(
  part: StaticProgram,
  samples: readonly { readonly path: string }[],
  options: ImageFeatureOptions,
): Promise<ImageFeatures> {
  const rows = options.tensors.map(({ shape }) => elementCount(shape));
  const arrays = rows.map((size) => new Float32Array(size * samples.length));
  const missing = await readCached(samples, arrays, options);
  const cached = samples.length - missing.length;
  const bad = await compute(part, samples, missing, arrays, rows, cached, options);
  const unusable = new Set(bad.map(({ index }) => index));
  const indices = samples.map((_, index) => index).filter((index) => !unusable.has(index));
  return {
    features: options.tensors.map(({ shape }, tensor) =>
      float32Tensor(picked(arrays[tensor]!, rows[tensor]!, indices), [indices.length, ...shape]),
    ),
    indices,
    bad: bad.map(({ path, reason }) => ({ path, reason })),
    cached,
  };
}

/** Fills the rows that the cache holds. Returns the indices of the others. */
async function readCached(
  samples: readonly { readonly path: string }[],
  arrays: readonly Float32Array[],
  { cache, hashOf = contentHash, signal, onProgress }: ImageFeatureOptions,
): Promise<number[]> {
  if (!cache) return samples.map((_, index) => index);
  const missing: number[] = [];
  for (const [index, { path }] of samples.entries()) {
    signal?.throwIfAborted();
    const key = await hashOf(path).catch(() => null);
    if (key === null || !(await cache.readInto(key, arrays, index))) missing.push(index);
    else onProgress?.(index + 1 - missing.length, index + 1 - missing.length);
  }
  return missing;
}

interface BadRow {
  readonly index: number;
  readonly path: string;
  readonly reason: string;
}

async function compute(
  part: StaticProgram,
  samples: readonly { readonly path: string }[],
  missing: readonly number[],
  arrays: readonly Float32Array[],
  rows: readonly number[],
  cached: number,
  options: ImageFeatureOptions,
): Promise<BadRow[]> {
  if (missing.length === 0) return [];
  const bad: BadRow[] = [];
  let seen = 0;
  const trunk = createTrunk(part);
  const batches = imageBatches(
    missing.map((index) => samples[index]!),
    {
      ...options,
      onPicture: ({ path, reason }) => {
        const index = missing[seen++]!;
        if (reason !== undefined) bad.push({ index, path, reason });
      },
    },
  );
  let done = cached;
  try {
    for await (const { images, indices, contentHashes } of batches) {
      options.signal?.throwIfAborted();
      const features = await runPadded(trunk.run, images, options.batchSize);
      for (const [row, position] of indices.entries()) {
        const own = features.map((values, tensor) =>
          values.subarray(row * rows[tensor]!, (row + 1) * rows[tensor]!),
        );
        await options.cache?.put(contentHashes[row]!, own);
        own.forEach((values, tensor) => {
          arrays[tensor]!.set(values, missing[position]! * rows[tensor]!);
        });
      }
      done += indices.length;
      options.onProgress?.(done + bad.length, cached);
      await nextTurn();
    }
  } catch (error) {
    const nothingLeft = error instanceof DataError && !options.strict && bad.length === missing.length;
    if (!nothingLeft) throw error;
  } finally {
    trunk.dispose();
  }
  return bad;
}

async function runPadded(
  run: (inputs: readonly tf.Tensor[]) => tf.Tensor[],
  images: Tensor,
  batchSize: number,
): Promise<Float32Array[]> {
  const feed = uploadPadded(images, 0, images.shape[0]!, batchSize);
  const features = run([feed]);
  const values = await Promise.all(features.map(async (tensor) => Float32Array.from(await tensor.data())));
  tf.dispose([feed, ...features]);
  return values;
}

/** Moves the rows at `indices`, which ascend, to the front. Returns the part of `values` that holds them. */
function picked(values: Float32Array, size: number, indices: readonly number[]): Float32Array {
  indices.forEach((index, row) => {
    if (index !== row) values.copyWithin(row * size, index * size, (index + 1) * size);
  });
  return values.subarray(0, indices.length * size);
}
