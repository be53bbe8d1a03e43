import { setImmediate as nextTurn } from "node:timers/promises";
import { contentHash } from "../data/file-bytes.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { BadFile, SampleReader } from "../data/sample-reader.ts";
import { tf } from "../engine/tf.ts";
import { DataError } from "../errors.ts";
import { uploadPadded } from "../model/feeds.ts";
import type { InputTensor } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import type { FeatureCache } from "./cache/feature-cache.ts";
import type { FeatureTensor } from "./cache/record.ts";
import type { SampleRows, WritableRows } from "./sample-rows.ts";
import { selectRows, writableRows } from "./sample-rows.ts";
import type { StaticProgram } from "./trunk.ts";
import { createTrunk } from "./trunk.ts";

export interface FileFeatures {
  /** N rows for each frontier tensor, until `dispose`. */
  readonly features: readonly SampleRows[];
  /** For each of the N, its index in the samples asked for. */
  readonly indices: readonly number[];
  readonly bad: readonly BadFile[];
  /** Of the N, how many came from the cache. */
  readonly cached: number;
  dispose(): void;
}

export interface FileFeatureOptions {
  readonly reader: SampleReader;
  /** What the frontier holds of one sample. */
  readonly tensors: readonly FeatureTensor[];
  /** Rows that every batch is padded to, so that a sample's features do not depend on its neighbours. */
  readonly batchSize: number;
  /** A file that cannot be used is an error. */
  readonly strict?: boolean;
  /** Where rows may go that are too many for memory. */
  readonly rowFolder?: string;
  /** Read first, and given what is computed. */
  readonly cache?: FeatureCache;
  /** sha256 of a file's bytes, in hexadecimal. */
  readonly hashOf?: (path: string) => Promise<string>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, cached: number) => void;
}

/**
 * The frontier tensors of files, in the order of `samples`: from the cache where they are there, else each one run once.
 * A file that cannot be used is listed and left alone. An aborted signal rejects with its reason; what is done stays cached.
 */
export async function extractFiles(
  part: StaticProgram,
  samples: readonly { readonly path: string }[],
  options: FileFeatureOptions,
): Promise<FileFeatures> {
  const rows = options.tensors.map(({ shape }) => writableRows(shape, samples.length, options.rowFolder));
  const dispose = (): void => {
    for (const each of rows) each.dispose();
  };
  try {
    const missing = await readCached(samples, rows, options);
    const cached = samples.length - missing.length;
    const bad = await compute(part, samples, missing, rows, cached, options);
    const unusable = new Set(bad.map(({ index }) => index));
    const indices = samples.map((_, index) => index).filter((index) => !unusable.has(index));
    return {
      features: rows.map((each) => selectRows(each, indices)),
      indices,
      bad: bad.map(({ path, reason }) => ({ path, reason })),
      cached,
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Fills the rows that the cache holds. Returns the indices of the others. */
async function readCached(
  samples: readonly { readonly path: string }[],
  rows: readonly WritableRows[],
  { cache, tensors, hashOf = contentHash, signal, onProgress }: FileFeatureOptions,
): Promise<number[]> {
  if (!cache) return samples.map((_, index) => index);
  const missing: number[] = [];
  const found = tensors.map(({ shape }) => new Float32Array(elementCount(shape)));
  for (const [index, { path }] of samples.entries()) {
    signal?.throwIfAborted();
    const key = await hashOf(path).catch(() => null);
    if (key === null || !(await cache.readInto(key, found, 0))) {
      missing.push(index);
      continue;
    }
    rows.forEach((each, tensor) => {
      each.set(index, found[tensor]!);
    });
    onProgress?.(index + 1 - missing.length, index + 1 - missing.length);
  }
  return missing;
}

interface BadRow extends BadFile {
  readonly index: number;
}

async function compute(
  part: StaticProgram,
  samples: readonly { readonly path: string }[],
  missing: readonly number[],
  rows: readonly WritableRows[],
  cached: number,
  options: FileFeatureOptions,
): Promise<BadRow[]> {
  if (missing.length === 0) return [];
  const bad: BadRow[] = [];
  let seen = 0;
  const trunk = createTrunk(part);
  const batches = sampleBatches(
    missing.map((index) => samples[index]!),
    options.reader,
    {
      batchSize: options.batchSize,
      strict: options.strict,
      onSample: ({ path, reason }) => {
        const index = missing[seen++]!;
        if (reason !== undefined) bad.push({ index, path, reason });
      },
    },
  );
  const sizes = options.tensors.map(({ shape }) => elementCount(shape));
  let done = cached;
  try {
    for await (const { input, indices, contentHashes } of batches) {
      options.signal?.throwIfAborted();
      const features = await runPadded(trunk.run, input, options.batchSize);
      for (const [row, position] of indices.entries()) {
        const own = features.map((values, tensor) =>
          values.subarray(row * sizes[tensor]!, (row + 1) * sizes[tensor]!),
        );
        await options.cache?.put(contentHashes[row]!, own);
        own.forEach((values, tensor) => {
          rows[tensor]!.set(missing[position]!, values);
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
  input: InputTensor,
  batchSize: number,
): Promise<Float32Array[]> {
  const feed = uploadPadded(input, 0, input.shape[0]!, batchSize);
  const features = run([feed]);
  const values = await Promise.all(features.map(async (tensor) => Float32Array.from(await tensor.data())));
  tf.dispose([feed, ...features]);
  return values;
}
