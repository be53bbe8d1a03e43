import { contentHash, contentHashes, type HashFile } from "../data/file-bytes.ts";
import type { SampleView } from "../data/sample-batches.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { DataError } from "../errors.ts";
import type { FeatureCache } from "./cache/kept-features.ts";
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

/** A sample that was asked for, with its frontier tensors. */
export interface ComputedSample<Asked extends SampleView> {
  readonly sample: Asked;
  /** The sha256 of the bytes that the features are computed from, in hexadecimal. */
  readonly contentHash: string;
  /** One for each frontier tensor, shared with the rest of the batch. */
  readonly features: readonly Float32Array[];
}

/** Computes the frontier tensors of samples in batches, in their order. A file that cannot be used is told of and left out. */
export type Computation = <Asked extends SampleView>(
  samples: readonly Asked[],
  options: { readonly strict: boolean; readonly onBad: (file: BadFile) => void },
) => AsyncIterable<readonly ComputedSample<Asked>[]>;

export interface FileFeatureOptions {
  readonly compute: Computation;
  /** The frontier of one sample. */
  readonly tensors: readonly FeatureTensor[];
  /** True if a file that cannot be used is an error. */
  readonly strict: boolean;
  /** Folder for rows that are too many for memory; undefined to hold them there all the same. */
  readonly rowFolder: string | undefined;
  /** Read first, and given what is computed. */
  readonly cache?: FeatureCache | undefined;
  /** Returns the key of a sample's features in the cache. */
  readonly keyOf: (contentHash: string, view: number) => string;
  /** Returns the sha256 of a file's bytes, in hexadecimal. */
  readonly hashOf?: HashFile | undefined;
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
  const hashes = unknownHashes(samples);
  try {
    const missing = await readCached(samples, rows, hashes, options);
    const cached = samples.length - missing.length;
    if (missing.length > 0) await options.cache?.ready();
    const { bad } = await computeMissing(missing, rows, hashes, { ...options, cached });
    const indices = [...hashes.keys()].filter((index) => hashes[index] !== null);
    return {
      features: rows.map((each) => selectRows(each, indices)),
      indices,
      contentHashes: hashes.filter((hash) => hash !== null),
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
  /** Number of samples whose features the cache did not take: at the first of them the computation ended. */
  readonly lost: number;
  readonly bad: readonly BadFile[];
}

/**
 * Computes the features of samples that the cache does not hold, and keeps them in it and nowhere else. What is there already is not
 * read. Where the cache can keep nothing, nothing is computed.
 */
export async function fillCache(
  samples: readonly SampleView[],
  cache: FeatureCache,
  options: Omit<FileFeatureOptions, "cache" | "rowFolder">,
): Promise<FilledCache> {
  const hashes = unknownHashes(samples);
  const missing = await missingSamples(samples, hashes, options, async (keys) =>
    keys.flatMap((key, index) => (cache.has(key) ? [] : [index])),
  );
  const cached = samples.length - missing.length;
  const canKeep = missing.length === 0 || (await cache.ready());
  const { bad } = canKeep
    ? await computeMissing(missing, [], hashes, { ...options, cache, cached, keepsOnly: true })
    : { bad: [] };
  const known = hashes.reduce((count, hash) => (hash === null ? count : count + 1), 0);
  const kept = known - (await cache.flush());
  return {
    samples: kept,
    extracted: kept - cached,
    cached,
    lost: canKeep ? missing.length - bad.length - (kept - cached) : missing.length,
    bad: onePerFile(bad),
  };
}

/** The sha256 of each sample whose features are known, in hexadecimal; null for the others. */
type KnownHashes = (string | null)[];

function unknownHashes(samples: readonly SampleView[]): KnownHashes {
  return new Array<string | null>(samples.length).fill(null);
}

/** A sample, or a view of it, and its index among those asked for. */
interface Asked extends SampleView {
  readonly index: number;
}

/** Fills the rows and the hashes of what the cache holds. Returns the others. */
async function readCached(
  samples: readonly SampleView[],
  rows: readonly WritableRows[],
  hashes: KnownHashes,
  { cache, ...options }: FileFeatureOptions,
): Promise<Asked[]> {
  if (!cache) return samples.map((sample, index) => ({ ...sample, index }));
  return missingSamples(samples, hashes, options, (keys, indices, found) =>
    cache.readEach(keys, (position, values) => {
      for (const [tensor, each] of rows.entries()) each.set(indices[position] ?? 0, values[tensor] ?? empty);
      found();
    }),
  );
}

const empty = new Float32Array();

/**
 * Returns the samples that the cache does not have, with the hashes of the others filled in.
 *
 * @param absentOf Looks for keys, and returns the positions of those that are not there. It calls `found` for each that is.
 */
async function missingSamples(
  samples: readonly SampleView[],
  hashes: KnownHashes,
  {
    keyOf,
    hashOf = contentHash,
    signal,
    onProgress,
  }: Pick<FileFeatureOptions, "keyOf" | "hashOf" | "signal" | "onProgress">,
  absentOf: (
    keys: readonly string[],
    indices: readonly number[],
    found: () => void,
  ) => Promise<readonly number[]>,
): Promise<Asked[]> {
  const found = await contentHashes(
    samples.map(({ path }) => path),
    hashOf,
    signal,
  );
  const indices = [...samples.keys()].filter((index) => typeof found[index] === "string");
  const keys = indices.map((index) => keyOf(found[index] ?? "", samples[index]?.view ?? 0));
  let count = 0;
  const absent = await absentOf(keys, indices, () => {
    signal?.throwIfAborted();
    count++;
    if (count % progressStep === 0) onProgress?.(count, count);
  });
  for (const index of indices) hashes[index] = found[index] ?? null;
  for (const position of absent) hashes[indices[position] ?? -1] = null;
  const known = indices.length - absent.length;
  if (known > 0) onProgress?.(known, known);
  return samples.flatMap((sample, index) => (hashes[index] === null ? [{ ...sample, index }] : []));
}

/** Cached samples between two calls of `onProgress`. */
const progressStep = 64;

async function computeMissing(
  missing: readonly Asked[],
  rows: readonly WritableRows[],
  hashes: KnownHashes,
  options: Omit<FileFeatureOptions, "rowFolder"> & {
    readonly cached: number;
    /** True if features are computed for the cache alone. */
    readonly keepsOnly?: boolean;
  },
): Promise<{ readonly bad: readonly BadFile[] }> {
  const { compute, strict, cache, keyOf, cached, signal, onProgress } = options;
  const bad: BadFile[] = [];
  if (missing.length === 0) return { bad };
  let done = cached;
  try {
    for await (const batch of compute(missing, { strict, onBad: (file) => void bad.push(file) })) {
      signal?.throwIfAborted();
      for (const { sample, contentHash: hash, features } of batch) {
        const isKept = await cache?.put(keyOf(hash, sample.view ?? 0), features);
        if (options.keepsOnly && isKept === false) return { bad };
        hashes[sample.index] = hash;
        for (const [tensor, values] of features.entries()) rows[tensor]?.set(sample.index, values);
      }
      done += batch.length;
      onProgress?.(done + bad.length, cached);
    }
  } catch (error) {
    const nothingLeft = error instanceof DataError && !strict && bad.length === missing.length;
    if (!nothingLeft) throw error;
  }
  return { bad };
}

function onePerFile(bad: readonly BadFile[]): readonly BadFile[] {
  return [...new Map(bad.map((file) => [file.path, file])).values()];
}
