import { contentHash } from "../data/file-bytes.ts";
import type { SampleView } from "../data/sample-batches.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { DataError } from "../errors.ts";
import { elementCount } from "../tensor.ts";
import type { FeatureCache } from "./cache/feature-cache.ts";
import type { FeatureTensor } from "./cache/record.ts";
import type { SampleRows, WritableRows } from "./sample-rows.ts";
import { selectRows, writableRows } from "./sample-rows.ts";

/** The frontier tensors of files. */
export interface FileFeatures {
  /** N rows for each frontier tensor, until `dispose`. */
  readonly features: readonly SampleRows[];
  /** For each of the N, its index in the samples asked for. */
  readonly indices: readonly number[];
  /** For each of the N, the sha256 of the bytes that its features are computed from, in hexadecimal. */
  readonly contentHashes: readonly string[];
  /** Files that cannot be used, each once. */
  readonly bad: readonly BadFile[];
  /** The number of the N that came from the cache. */
  readonly cached: number;
  dispose(): void;
}

export interface ComputedBatch {
  /** For each row, its index in the samples asked for. */
  readonly positions: readonly number[];
  /** For each row, the sha256 of the bytes that it is computed from, in hexadecimal. */
  readonly contentHashes: readonly string[];
  /** For each frontier tensor, the values of all rows one after the other; padding may follow. */
  readonly features: readonly Float32Array[];
}

/** Computes the frontier tensors of samples in batches, in their order. What cannot be used is told of and left out. */
export type Computation = (
  samples: readonly SampleView[],
  options: { readonly strict: boolean; readonly onBad: (file: BadFile) => void },
) => AsyncIterable<ComputedBatch>;

export interface FileFeatureOptions {
  readonly compute: Computation;
  /** The frontier of one sample. */
  readonly tensors: readonly FeatureTensor[];
  /** True if a file that cannot be used is an error. */
  readonly strict: boolean;
  /** Folder for rows that are too many for memory. */
  readonly rowFolder: string;
  /** Read first, and given what is computed. */
  readonly cache?: FeatureCache | undefined;
  /** Returns the key of a sample's features in the cache. */
  readonly keyOf: (contentHash: string, view: number) => string;
  /** Returns the sha256 of a file's bytes, in hexadecimal. */
  readonly hashOf?: ((path: string) => Promise<string>) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, cached: number) => void) | undefined;
}

/**
 * Returns the frontier tensors of files, or of views of them, in the order of `samples`: from the cache where they are there, else
 * each computed once. A file that cannot be used is listed and left alone. An aborted signal rejects with its reason; what is done
 * stays cached.
 */
export async function extractFiles(
  samples: readonly SampleView[],
  options: FileFeatureOptions,
): Promise<FileFeatures> {
  const rows = options.tensors.map(({ shape }) => writableRows(shape, samples.length, options.rowFolder));
  const dispose = (): void => {
    for (const each of rows) each.dispose();
  };
  const hashes = new Array<string>(samples.length);
  try {
    const missing = await readCached(samples, rows, hashes, options);
    const cached = samples.length - missing.length;
    const { bad } = await computeMissing(samples, missing, rows, hashes, options);
    const indices = samples.map((_, index) => index).filter((index) => hashes[index] !== undefined);
    return {
      features: rows.map((each) => selectRows(each, indices)),
      indices,
      contentHashes: indices.map((index) => hashes[index]!),
      bad: onePerFile(bad),
      cached,
      dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** The outcome of filling a cache. */
export interface FilledCache {
  /** Samples, or views of them, whose features are in the cache now. */
  readonly samples: number;
  readonly extracted: number;
  /** The number of samples that were there before. */
  readonly cached: number;
  /** Computed features that the cache did not take. */
  readonly lost: number;
  readonly bad: readonly BadFile[];
}

/**
 * Computes the features of samples that the cache does not hold, and keeps them in it and nowhere else. What is there already is not
 * read.
 */
export async function fillCache(
  samples: readonly SampleView[],
  cache: FeatureCache,
  options: Omit<FileFeatureOptions, "cache" | "rowFolder">,
): Promise<FilledCache> {
  const hashes = new Array<string>(samples.length);
  const missing = await missingSamples(samples, hashes, { ...options, has: async (key) => cache.has(key) });
  const { bad, lost } = await computeMissing(samples, missing, [], hashes, { ...options, cache });
  const cached = samples.length - missing.length;
  const usable = Object.keys(hashes).length;
  return { samples: usable - lost, extracted: usable - cached, cached, lost, bad: onePerFile(bad) };
}

/** Fills the rows and the hashes of what the cache holds. Returns the indices of the others. */
async function readCached(
  samples: readonly SampleView[],
  rows: readonly WritableRows[],
  hashes: string[],
  { cache, ...options }: FileFeatureOptions,
): Promise<number[]> {
  if (!cache) return samples.map((_, index) => index);
  const found = options.tensors.map(({ shape }) => new Float32Array(elementCount(shape)));
  return missingSamples(samples, hashes, {
    ...options,
    has: async (key, index) => {
      if (!(await cache.readInto(key, found, 0))) return false;
      rows.forEach((each, tensor) => {
        each.set(index, found[tensor]!);
      });
      return true;
    },
  });
}

/** Returns the indices of samples that the cache does not have, with the hashes of those that it has filled in. */
async function missingSamples(
  samples: readonly SampleView[],
  hashes: string[],
  {
    has,
    keyOf,
    hashOf = contentHash,
    signal,
    onProgress,
  }: Pick<FileFeatureOptions, "keyOf" | "hashOf" | "signal" | "onProgress"> & {
    readonly has: (key: string, index: number) => Promise<boolean>;
  },
): Promise<number[]> {
  const missing: number[] = [];
  let last: { readonly path: string; readonly hash: string | null } | undefined;
  for (const [index, { path, view = 0 }] of samples.entries()) {
    signal?.throwIfAborted();
    if (last?.path !== path) last = { path, hash: await hashOf(path).catch(() => null) };
    const { hash } = last;
    if (hash === null || !(await has(keyOf(hash, view), index))) {
      missing.push(index);
      continue;
    }
    hashes[index] = hash;
    onProgress?.(index + 1 - missing.length, index + 1 - missing.length);
  }
  return missing;
}

async function computeMissing(
  samples: readonly SampleView[],
  missing: readonly number[],
  rows: readonly WritableRows[],
  hashes: string[],
  { compute, tensors, strict, cache, keyOf, signal, onProgress }: Omit<FileFeatureOptions, "rowFolder">,
): Promise<{ readonly bad: readonly BadFile[]; readonly lost: number }> {
  const bad: BadFile[] = [];
  let lost = 0;
  if (missing.length === 0) return { bad, lost };
  const sizes = tensors.map(({ shape }) => elementCount(shape));
  const cached = samples.length - missing.length;
  let done = cached;
  const asked = missing.map((index) => samples[index]!);
  const batches = compute(asked, { strict, onBad: (file) => void bad.push(file) });
  try {
    for await (const { positions, contentHashes, features } of batches) {
      signal?.throwIfAborted();
      for (const [row, position] of positions.entries()) {
        const index = missing[position]!;
        const own = features.map((values, tensor) =>
          values.subarray(row * sizes[tensor]!, (row + 1) * sizes[tensor]!),
        );
        const hash = contentHashes[row]!;
        if (cache && !(await cache.put(keyOf(hash, samples[index]!.view ?? 0), own))) lost++;
        hashes[index] = hash;
        rows.forEach((each, tensor) => {
          each.set(index, own[tensor]!);
        });
      }
      done += positions.length;
      onProgress?.(done + bad.length, cached);
    }
  } catch (error) {
    const nothingLeft = error instanceof DataError && !strict && bad.length === missing.length;
    if (!nothingLeft) throw error;
  }
  return { bad, lost };
}

function onePerFile(bad: readonly BadFile[]): readonly BadFile[] {
  return [...new Map(bad.map((file) => [file.path, file])).values()];
}
