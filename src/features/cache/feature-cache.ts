import { createHash } from "node:crypto";
import { join } from "node:path";
import { engineHome } from "../../engine/home.ts";
import { optionName, optionSetTo } from "../../options.ts";
import { roundToFloat16 } from "./float16.ts";
import { createPack, newRecords, type PackRecord, type PackWriter, packReader } from "./pack.ts";
import {
  type FeatureStorage,
  type FeatureTensor,
  keyEntryBytes,
  layoutDigest,
  type RecordLayout,
  recordLayout,
  recordParts,
  recordTarget,
} from "./record.ts";
import { emptyTrash, evictTrunk, leaseFolder, listTrunks } from "./trunk-folder.ts";

export interface FeatureCacheOptions {
  /** Folder of the whole cache; by default `defaultCacheDirectory()`. */
  readonly directory?: string;
  /** The key that `trunkKeyOf` returns. */
  readonly trunkKey: string;
  /** The frontier, in order, without the batch. */
  readonly tensors: readonly FeatureTensor[];
  /** float32 by default. */
  readonly storage?: FeatureStorage;
  /** Size that the whole cache may have; 10 GB by default. */
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
  has(sampleKey: string): boolean;
  /** Returns one array for each tensor, new and the caller's; undefined if they are not there. */
  get(sampleKey: string): Promise<Float32Array[] | undefined>;
  /**
   * Reads row `row` of each `[N, …]` in `destination`; false if the features are not there, and the row may then hold anything.
   */
  readInto(sampleKey: string, destination: readonly Float32Array[], row: number): Promise<boolean>;
  /**
   * Keeps the features of one sample; false where they cannot be kept, which is no error. With float16 the values are rounded in
   * place, kept or not, so that a run goes on with what a later one will read. The arrays are the caller's again when it resolves.
   */
  put(sampleKey: string, arrays: readonly Float32Array[]): Promise<boolean>;
  /** Looks for what other processes have written since. */
  refresh(): Promise<void>;
  stats(): FeatureCacheStats;
  /** Waits for what is being written and ends the use of the trunk's folder. */
  close(): Promise<void>;
}

const defaultMaxBytes = 10e9;
const renewalMs = 60_000;

/** Returns `features` in `KERAS_FINETUNE_HOME`, else in the user's cache folder. */
export function defaultCacheDirectory(): string {
  return join(engineHome(), "features");
}

/** Opens the features of a trunk. Where the folder cannot be used it says so by `onWarning`, and nothing is kept. */
export async function openFeatureCache(options: FeatureCacheOptions): Promise<FeatureCache> {
  const { directory = defaultCacheDirectory(), maxBytes = defaultMaxBytes, storage = "float32" } = options;
  const layout = recordLayout(options.tensors, storage);
  const diskBytes = layout.bytes + keyEntryBytes;
  const folder = join(directory, folderName(options.trunkKey, layout));
  const warn = (message: string) => options.onWarning?.(`feature cache ${directory}: ${message}`);

  const records = new Map<string, readonly PackRecord[]>();
  const seen = new Map<string, number>();
  const reader = packReader(folder, layout);
  let writer: PackWriter | undefined;
  let keeps = true;
  let stored = 0;
  let damaged = 0;
  let cacheBytes = 0;
  let queue: Promise<unknown> = Promise.resolve();

  const lease = await leaseFolder(folder).catch((error: NodeJS.ErrnoException) => {
    keeps = false;
    warn(
      `${systemReason(error)}. Features are not kept. Give another ${optionName("cache")}, or ${optionSetTo("cache", false)}.`,
    );
    return undefined;
  });
  const renewal = lease && setInterval(() => void lease.renew(), renewalMs);
  renewal?.unref();

  const add = (record: PackRecord) => {
    records.set(record.sampleKey, [...(records.get(record.sampleKey) ?? []), record]);
  };
  const refresh = async () => {
    const found = await newRecords(folder, layout, seen).catch(() => []);
    for (const record of found) if (record.packId !== writer?.id) add(record);
  };

  /** Evicts others, the least recently used first, until `bytes` more fit. */
  const makeRoom = async (bytes: number): Promise<boolean> => {
    const trunks = await listTrunks(directory);
    cacheBytes = trunks.reduce((sum, trunk) => sum + trunk.bytes, 0);
    for (const trunk of trunks) {
      if (cacheBytes + bytes <= maxBytes) break;
      if (trunk.folder !== folder && (await evictTrunk(directory, trunk.folder))) cacheBytes -= trunk.bytes;
    }
    return cacheBytes + bytes <= maxBytes;
  };

  const store = async (sampleKey: string, arrays: readonly Float32Array[]): Promise<boolean> => {
    if (!keeps) return false;
    if (records.has(sampleKey)) return true;
    try {
      if (cacheBytes + diskBytes > maxBytes && !(await makeRoom(diskBytes))) {
        keeps = false;
        warn(
          `holds ${cacheBytes} bytes in use, of ${maxBytes} that it may. Features of further samples are computed again by the next run. Raise ${optionName("cacheMax")}, or freeze less or more.`,
        );
        return false;
      }
      writer ??= await createPack(folder, layout);
      add(await writer.append(sampleKey, recordParts(layout, arrays)));
    } catch (error) {
      keeps = false;
      warn(
        `${systemReason(error as NodeJS.ErrnoException)}. What is cached stays right; features of further samples are computed again by the next run. Free space, or give another ${optionName("cache")}.`,
      );
      return false;
    }
    cacheBytes += diskBytes;
    stored++;
    return true;
  };

  /** Reads the first undamaged record of the sample into the target; damaged ones are forgotten on the way. */
  const read = async (sampleKey: string, arrays: readonly Float32Array[]): Promise<boolean> => {
    const target = recordTarget(layout, arrays);
    for (const record of records.get(sampleKey) ?? []) {
      if (await reader.read(record, target.parts)) {
        target.finish();
        return true;
      }
      damaged++;
      const others = (records.get(sampleKey) ?? []).filter((other) => other !== record);
      if (others.length > 0) records.set(sampleKey, others);
      else records.delete(sampleKey);
    }
    return false;
  };

  if (lease) {
    await emptyTrash(directory);
    await makeRoom(0);
  }
  await refresh();

  return {
    folder,
    recordBytes: layout.bytes,
    has: (sampleKey) => records.has(sampleKey),
    async get(sampleKey) {
      if (!records.has(sampleKey)) return undefined;
      const arrays = layout.counts.map((count) => new Float32Array(count));
      return (await read(sampleKey, arrays)) ? arrays : undefined;
    },
    async readInto(sampleKey, destination, row) {
      if (!records.has(sampleKey)) return false;
      return read(sampleKey, rowsOf(layout, destination, row));
    },
    async put(sampleKey, arrays) {
      expectLayout(layout, arrays);
      if (storage === "float16") arrays.forEach(roundToFloat16);
      const result = queue.then(() => store(sampleKey, arrays));
      queue = result;
      return result;
    },
    refresh,
    stats: () => ({ records: records.size, stored, damaged, bytes: records.size * diskBytes }),
    async close() {
      await queue;
      keeps = false;
      clearInterval(renewal);
      await Promise.all([reader.close(), writer?.close()]);
      await lease?.release();
    },
  };
}

/** Returns the keys of the samples whose features the cache holds; it is neither made, marked as used, nor changed. */
export async function cachedKeys({
  directory = defaultCacheDirectory(),
  trunkKey,
  tensors,
  storage = "float32",
}: Pick<FeatureCacheOptions, "directory" | "trunkKey" | "tensors" | "storage">): Promise<
  ReadonlySet<string>
> {
  const layout = recordLayout(tensors, storage);
  const folder = join(directory, folderName(trunkKey, layout));
  const records = await newRecords(folder, layout, new Map()).catch(() => []);
  return new Set(records.map(({ sampleKey }) => sampleKey));
}

/** Returns the name of a trunk's folder. Its records have one size, so another layout is another folder. */
function folderName(trunkKey: string, layout: RecordLayout): string {
  return createHash("sha256")
    .update(`${trunkKey} ${layoutDigest(layout)}`)
    .digest("hex")
    .slice(0, 40);
}

function rowsOf(layout: RecordLayout, destination: readonly Float32Array[], row: number): Float32Array[] {
  return layout.counts.map((count, index) => destination[index]!.subarray(row * count, (row + 1) * count));
}

function expectLayout(layout: RecordLayout, arrays: readonly Float32Array[]): void {
  const got = arrays.map((values) => values.length).join(", ");
  const expected = layout.counts.join(", ");
  if (got !== expected) {
    throw new Error(`features: expected ${expected} values, as the layout's tensors have, got ${got}`);
  }
}

function systemReason(error: NodeJS.ErrnoException): string {
  const reasons: Readonly<Record<string, string>> = {
    ENOSPC: "no space left on the device",
    EDQUOT: "the disk quota is used up",
    EACCES: "permission denied",
    EPERM: "permission denied",
    EROFS: "the file system is read-only",
    EIO: "the disk reports an error (EIO)",
    ENOTDIR: "expected a folder, got a file",
    EEXIST: "expected a folder, got a file",
    EMFILE: "too many open files",
  };
  return reasons[error.code ?? ""] ?? error.message;
}
