import { join } from "node:path";
import { optionName, optionSetTo } from "../../options.ts";
import { isBucketAddress } from "../../storage/address.ts";
import { openBucketCache, recordsInBucket } from "./bucket-cache.ts";
import { defaultCacheBytes, defaultCacheDirectory } from "./cache-directory.ts";
import { roundToFloat16 } from "./float16.ts";
import {
  expectLayout,
  type FeatureCache,
  type FeatureCacheOptions,
  rowsOf,
  trunkFolderName,
} from "./kept-features.ts";
import { addNewRecords, createPack, type PackWriter, packReader } from "./pack.ts";
import { readRecords } from "./placed-reads.ts";
import { keyEntryBytes, recordLayout, recordParts, recordTarget } from "./record.ts";
import { type RecordIndex, recordIndex } from "./record-index.ts";
import { folderFiles } from "./small-files.ts";
import { emptyTrash, evictTrunk, leaseFolder, listTrunks } from "./trunk-folder.ts";

const renewalMs = 60_000;

/**
 * Opens the features of a trunk. Where the folder cannot be used it says so by `onWarning`, and nothing is kept.
 *
 * @throws {MachineError} if the folder lies in a bucket that cannot be listed.
 */
export async function openFeatureCache(options: FeatureCacheOptions): Promise<FeatureCache> {
  const { directory = defaultCacheDirectory(), maxBytes = defaultCacheBytes, storage = "float32" } = options;
  const layout = recordLayout(options.tensors, storage);
  if (isBucketAddress(directory)) {
    return openBucketCache({ directory, trunkKey: options.trunkKey, layout, onWarning: options.onWarning });
  }
  const diskBytes = layout.bytes + keyEntryBytes;
  const folder = join(directory, trunkFolderName(options.trunkKey, layout));
  const warn = (message: string) => options.onWarning?.(`feature cache ${directory}: ${message}`);

  const records = recordIndex();
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

  const refresh = async () => {
    await addNewRecords(folder, layout, { records, seen, written: writer?.id }).catch(() => {});
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
      records.add(await writer.append(sampleKey, recordParts(layout, arrays)));
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

  const forget = (number: number): void => {
    damaged++;
    records.remove(number);
  };

  /** Reads the first undamaged record of the sample into the target; damaged ones are forgotten on the way. */
  const read = async (sampleKey: string, arrays: readonly Float32Array[]): Promise<boolean> => {
    const target = recordTarget(layout, arrays);
    for (let number = records.first(sampleKey); number >= 0; number = records.first(sampleKey)) {
      if (await reader.read(records.recordAt(number), target.parts)) {
        target.finish();
        return true;
      }
      forget(number);
    }
    return false;
  };

  const placed = { fetch: reader.readRange, forget, runBytes: 4 << 20, gapBytes: 1 << 16, atOnce: 2 };

  if (lease) {
    await emptyTrash(directory);
    await makeRoom(0);
  }
  await refresh();

  return {
    folder,
    recordBytes: layout.bytes,
    files: folderFiles(folder),
    ready: async () => keeps,
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
    readEach: (sampleKeys, take) => readRecords(sampleKeys, records, layout, placed, take),
    async put(sampleKey, arrays) {
      expectLayout(layout, arrays);
      if (storage === "float16") arrays.forEach(roundToFloat16);
      const result = queue.then(() => store(sampleKey, arrays));
      queue = result;
      return result;
    },
    flush: async () => {
      await queue;
      return 0;
    },
    refresh,
    stats: () => ({ records: records.samples, stored, damaged, bytes: records.samples * diskBytes }),
    async close() {
      await queue;
      keeps = false;
      clearInterval(renewal);
      await Promise.all([reader.close(), writer?.close()]);
      await lease?.release();
    },
  };
}

/** Returns the records that the cache holds of a trunk; it is neither made, marked as used, nor changed. */
export async function cachedRecords({
  directory = defaultCacheDirectory(),
  trunkKey,
  tensors,
  storage = "float32",
}: Pick<FeatureCacheOptions, "directory" | "trunkKey" | "tensors" | "storage">): Promise<
  Pick<RecordIndex, "samples" | "has">
> {
  const layout = recordLayout(tensors, storage);
  if (isBucketAddress(directory)) return recordsInBucket(directory, trunkKey, layout);
  const records = recordIndex();
  const folder = join(directory, trunkFolderName(trunkKey, layout));
  await addNewRecords(folder, layout, { records, seen: new Map() }).catch(() => {});
  return records;
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
