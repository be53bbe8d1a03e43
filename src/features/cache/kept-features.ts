import { createHash } from "node:crypto";
import { type FeatureStorage, type FeatureTensor, layoutDigest, type RecordLayout } from "./record.ts";
import type { SmallFiles } from "./small-files.ts";

export interface FeatureCacheOptions {
  /** Folder of the whole cache, on a disk or in a bucket (`s3://bucket/prefix`); by default `defaultCacheDirectory()`. */
  readonly directory?: string;
  /** The key that `trunkKeyOf` returns. */
  readonly trunkKey: string;
  /** The frontier, in order, without the batch. */
  readonly tensors: readonly FeatureTensor[];
  /** float32 by default. */
  readonly storage?: FeatureStorage;
  /** Size that the whole cache may have; 10 GB by default. A bucket has no limit. */
  readonly maxBytes?: number;
  /** Called once for each thing that keeps features from being kept, with a sentence. */
  readonly onWarning?: (message: string) => void;
}

export interface FeatureCacheStats {
  /** Number of samples whose features can be read. */
  readonly records: number;
  /** Number of records that this process wrote. */
  readonly stored: number;
  /** Number of records whose bytes were not those that were written; they count as absent. */
  readonly damaged: number;
  /** Size of this trunk's records on the disk. */
  readonly bytes: number;
}

/**
 * The features of one trunk, on disk, by the content of the samples. Any number of processes may read and write at once. A record
 * that is read equals what was written, to the bit, or it is not there: whatever is killed, and when.
 */
export interface FeatureCache {
  /** The trunk's folder, which is evicted whole. */
  readonly folder: string;
  readonly recordBytes: number;
  /** Small files beside the features. */
  readonly files: SmallFiles;
  /** Returns whether features can be kept, and says by `onWarning` why not. */
  ready(): Promise<boolean>;
  has(sampleKey: string): boolean;
  /** Returns one array for each tensor, new and the caller's; undefined if they are not there. */
  get(sampleKey: string): Promise<Float32Array[] | undefined>;
  /**
   * Reads row `row` of each `[N, …]` in `destination`; false if the features are not there, and the row may then hold anything.
   */
  readInto(sampleKey: string, destination: readonly Float32Array[], row: number): Promise<boolean>;
  /**
   * Reads the features of many samples in the order in which they are stored, which is faster by far than one by one. `take` gets the
   * index of the key and one array for each tensor, which are its own until it returns.
   *
   * @returns The indices of the keys whose features are not there, in order.
   */
  readEach(
    sampleKeys: readonly string[],
    take: (index: number, arrays: readonly Float32Array[]) => void,
  ): Promise<readonly number[]>;
  /**
   * Keeps the features of one sample; false where they cannot be kept, which is no error. With float16 the values are rounded in
   * place, kept or not, so that a run goes on with what a later one will read. The arrays are the caller's again when it resolves.
   */
  put(sampleKey: string, arrays: readonly Float32Array[]): Promise<boolean>;
  /** Waits for what is being written. Returns how many records `put` took that could not be kept after all. */
  flush(): Promise<number>;
  /** Looks for what other processes have written since. */
  refresh(): Promise<void>;
  stats(): FeatureCacheStats;
  /** Waits for what is being written and ends the use of the trunk's folder. */
  close(): Promise<void>;
}

/** Returns the parts of row `row` in each `[N, …]` of `destination`. */
export function rowsOf(
  layout: RecordLayout,
  destination: readonly Float32Array[],
  row: number,
): Float32Array[] {
  return layout.counts.map((count, index) => destination[index]!.subarray(row * count, (row + 1) * count));
}

/** @throws {Error} if the arrays do not have as many values as the layout's tensors. */
export function expectLayout(layout: RecordLayout, arrays: readonly Float32Array[]): void {
  const got = arrays.map((values) => values.length).join(", ");
  const expected = layout.counts.join(", ");
  if (got !== expected) {
    throw new Error(`features: expected ${expected} values, as the layout's tensors have, got ${got}`);
  }
}

/** Returns the name of a trunk's folder. Its records have one size, so another layout is another folder. */
export function trunkFolderName(trunkKey: string, layout: RecordLayout): string {
  return createHash("sha256")
    .update(`${trunkKey} ${layoutDigest(layout)}`)
    .digest("hex")
    .slice(0, 40);
}
