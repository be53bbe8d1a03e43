/** The feature cache in a bucket: what several machines that share no disk fill and read. */
import { MachineError } from "../../errors.ts";
import { optionName, optionSetTo } from "../../options.ts";
import { bucketPlace, pathIn } from "../../storage/address.ts";
import { openBucket } from "../../storage/s3-store.ts";
import { bucketPackKey, encodeBucketPack, findBucketPacks, type WaitingRecord } from "./bucket-pack.ts";
import { roundToFloat16 } from "./float16.ts";
import { expectLayout, type FeatureCache, rowsOf, trunkFolderName } from "./kept-features.ts";
import { readRecords } from "./placed-reads.ts";
import { keyEntryBytes, type RecordLayout, recordChecksum, recordParts, recordTarget } from "./record.ts";
import { type RecordIndex, recordIndex } from "./record-index.ts";
import { bucketFiles } from "./small-files.ts";

export interface BucketCacheOptions {
  /** Address of the whole cache: `s3://bucket/prefix`. */
  readonly directory: string;
  readonly trunkKey: string;
  readonly layout: RecordLayout;
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Bytes of records that wait to be stored in one object. */
  readonly packBytes?: number | undefined;
  /** Milliseconds that a record may wait. */
  readonly waitingMs?: number | undefined;
}

/** One object has about this size: few enough of them to list, and few enough bytes to hold and to lose. */
const defaultPackBytes = 32 << 20;
const defaultWaitingMs = 60_000;
const runBytes = 16 << 20;
const gapBytes = 1 << 18;
const readsAtOnce = 4;

/**
 * Opens the features of a trunk in a bucket. Records gather in memory and are stored in packs of some megabytes: at a kill those of the
 * last minute are lost. Nothing is evicted.
 *
 * @throws {MachineError} if the bucket cannot be listed and read: what it holds is not computed again without a word.
 */
export async function openBucketCache(options: BucketCacheOptions): Promise<FeatureCache> {
  const { directory, layout, packBytes = defaultPackBytes, waitingMs = defaultWaitingMs } = options;
  const name = trunkFolderName(options.trunkKey, layout);
  const folder = pathIn(directory, name);
  const place = bucketPlace(folder);
  const prefix = `${place.key}/`;
  const store = await openBucket(place.bucket);
  const files = bucketFiles(store, prefix);
  const warn = (message: string) => options.onWarning?.(`feature cache ${directory}: ${message}`);

  const records = recordIndex();
  const packs = new Map<string, number>();
  const damagedPacks = new Set<string>();
  /** Records that are not in the bucket yet, by their samples' keys. */
  const waiting = new Map<string, WaitingRecord>();
  let batch: WaitingRecord[] = [];
  let batchBytes = 0;
  let batchSince = 0;
  let uploading: Promise<void> = Promise.resolve();
  let queue: Promise<unknown> = Promise.resolve();
  let keeps = true;
  let isTried: Promise<void> | undefined;
  let [stored, damaged, lost] = [0, 0, 0];

  const warnOfDamage = (ids: readonly string[]): void => {
    const fresh = ids.filter((id) => !damagedPacks.has(id));
    for (const id of fresh) damagedPacks.add(id);
    if (fresh.length === 0) return;
    const some = fresh.slice(0, 3).map((id) => `${folder}/${id}.pack`);
    const more = fresh.length > some.length ? ` and ${fresh.length - some.length} more` : "";
    warn(
      `expected objects as they were written, got ${fresh.length} that are truncated or altered: ${some.join(", ")}${more}. Their features are computed again.`,
    );
  };
  const refresh = async (): Promise<void> => {
    const found = await findBucketPacks(store, prefix, layout, (id) => packs.has(id) || damagedPacks.has(id));
    for (const [id, entries] of found.entries) {
      packs.set(id, entries.length / keyEntryBytes);
      records.addEntries(id, entries, 0);
    }
    warnOfDamage(found.damaged);
  };
  const stopKeeping = (error: unknown, consequence: string): void => {
    if (!(error instanceof MachineError)) throw error;
    keeps = false;
    warn(`${error.message.replace(/\.$/, "")}. ${consequence}`);
  };

  /** Tries whether the bucket can be written to, with an object that says what lies beside it. */
  const tryWriting = async (): Promise<void> => {
    const { tensors, storage } = layout;
    const text = `${JSON.stringify({ format: 1, tensors, storage, recordBytes: layout.bytes }, null, 2)}\n`;
    await store.putIfAbsent(`${prefix}trunk.json`, Buffer.from(text)).catch((error: unknown) => {
      stopKeeping(
        error,
        `Features are not kept. Allow writing, give another ${optionName("cache")}, or ${optionSetTo("cache", false)}.`,
      );
    });
  };
  const ready = async (): Promise<boolean> => {
    isTried ??= tryWriting();
    await isTried;
    return keeps;
  };

  const upload = async (some: readonly WaitingRecord[]): Promise<void> => {
    const pack = encodeBucketPack(some);
    const key = bucketPackKey(prefix, pack.id);
    try {
      if (damagedPacks.delete(pack.id)) await store.put(key, pack.bytes);
      else await store.putIfAbsent(key, pack.bytes);
      packs.set(pack.id, some.length);
      for (const record of pack.records) records.add(record);
      stored += some.length;
    } catch (error) {
      lost += some.length;
      if (keeps) stopKeeping(error, "Features of further samples are computed again by the next run.");
    } finally {
      for (const { entry } of some) waiting.delete(entry.sampleKey);
    }
  };
  /** Begins to store what has gathered, once what was begun before is stored. */
  const uploadBatch = async (): Promise<void> => {
    await uploading;
    const some = batch;
    [batch, batchBytes] = [[], 0];
    if (some.length > 0) uploading = upload(some);
  };

  const keep = async (sampleKey: string, arrays: readonly Float32Array[]): Promise<boolean> => {
    if (!(await ready())) return false;
    if (records.has(sampleKey) || waiting.has(sampleKey)) return true;
    const parts = recordParts(layout, arrays).map((part) => part.slice());
    const record = { entry: { sampleKey, checksum: recordChecksum(sampleKey, parts) }, parts };
    if (batch.length === 0) batchSince = Date.now();
    batch.push(record);
    waiting.set(sampleKey, record);
    batchBytes += layout.bytes + keyEntryBytes;
    if (batchBytes >= packBytes || Date.now() - batchSince >= waitingMs) await uploadBatch();
    return true;
  };
  const flush = async (): Promise<number> => {
    await queue;
    await uploadBatch();
    await uploading;
    return lost;
  };

  const fetch = async (id: string, from: number, to: number): Promise<Uint8Array | null> => {
    const start = (packs.get(id) ?? 0) * keyEntryBytes;
    const found = await store.get(bucketPackKey(prefix, id), { from: start + from, to: start + to });
    return found?.bytes ?? null;
  };
  const readEach: FeatureCache["readEach"] = async (sampleKeys, take) => {
    await flush();
    const damagedIds = new Set<string>();
    const forget = (number: number): void => {
      damagedIds.add(records.recordAt(number).packId);
      damaged++;
      records.remove(number);
    };
    const placed = { fetch, forget, runBytes, gapBytes, atOnce: readsAtOnce };
    const absent = await readRecords(sampleKeys, records, layout, placed, take);
    warnOfDamage([...damagedIds]);
    return absent;
  };
  const read = async (sampleKey: string, arrays: readonly Float32Array[]): Promise<boolean> => {
    const held = waiting.get(sampleKey);
    if (held) {
      const target = recordTarget(layout, arrays);
      for (const [index, part] of held.parts.entries()) target.parts[index]?.set(part);
      target.finish();
      return true;
    }
    const absent = await readEach([sampleKey], (_, values) => {
      for (const [index, own] of values.entries()) arrays[index]?.set(own);
    });
    return absent.length === 0;
  };

  await refresh();
  return {
    ...{ folder, files, ready, readEach, flush, refresh },
    recordBytes: layout.bytes,
    has: (sampleKey) => records.has(sampleKey) || waiting.has(sampleKey),
    async get(sampleKey) {
      const arrays = layout.counts.map((count) => new Float32Array(count));
      return (await read(sampleKey, arrays)) ? arrays : undefined;
    },
    readInto: (sampleKey, destination, row) => read(sampleKey, rowsOf(layout, destination, row)),
    async put(sampleKey, arrays) {
      expectLayout(layout, arrays);
      if (layout.storage === "float16") arrays.forEach(roundToFloat16);
      const result = queue.then(() => keep(sampleKey, arrays));
      queue = result.catch(() => {});
      return result;
    },
    stats: () => ({
      records: records.samples + waiting.size,
      ...{ stored, damaged },
      bytes: (records.samples + waiting.size) * (layout.bytes + keyEntryBytes),
    }),
    async close() {
      await flush();
      keeps = false;
    },
  };
}

/** Returns the records of a trunk in a bucket. @throws {MachineError} if the bucket cannot be listed and read. */
export async function recordsInBucket(
  directory: string,
  trunkKey: string,
  layout: RecordLayout,
): Promise<RecordIndex> {
  const { bucket, key } = bucketPlace(pathIn(directory, trunkFolderName(trunkKey, layout)));
  const { entries } = await findBucketPacks(await openBucket(bucket), `${key}/`, layout);
  const records = recordIndex();
  for (const [id, own] of entries) records.addEntries(id, own, 0);
  return records;
}
