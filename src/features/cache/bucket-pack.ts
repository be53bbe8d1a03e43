import { createHash } from "node:crypto";
import { forEachAtOnce } from "../../storage/at-once.ts";
import type { ObjectStore, StoredObject } from "../../storage/object-store.ts";
import type { PackRecord } from "./pack.ts";
import { decodeKeyEntry, encodeKeyEntry, type KeyEntry, keyEntryBytes, type RecordLayout } from "./record.ts";

/**
 * A pack in a bucket is one object: the key entries of its records, then the records in the same order. Its name is the sha256 of the
 * entries, cut to 40 digits. The entries hold a checksum of each record, so that packs of one name hold the same: two writers of it do
 * not disturb each other, and an object that is not what its name says is known as damaged.
 */
export interface BucketPack {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly records: readonly PackRecord[];
}

/** A record that waits to be stored. */
export interface WaitingRecord {
  readonly entry: KeyEntry;
  readonly parts: readonly Uint8Array[];
}

export function encodeBucketPack(records: readonly WaitingRecord[]): BucketPack {
  const entries = Buffer.concat(records.map(({ entry }) => encodeKeyEntry(entry)));
  const id = packIdOf(entries);
  return {
    id,
    bytes: Buffer.concat([entries, ...records.flatMap(({ parts }) => parts)]),
    records: records.map(({ entry }, position) => ({ ...entry, packId: id, position })),
  };
}

const packEnding = ".pack";

/** Returns the key of a pack's object. @param prefix That of the trunk; it ends in a slash. */
export function bucketPackKey(prefix: string, id: string): string {
  return `${prefix}${id}${packEnding}`;
}

/** Packs of a trunk as found in a bucket. */
export interface FoundPacks {
  readonly records: readonly PackRecord[];
  /** The number of records in each pack, by its id. */
  readonly counts: ReadonlyMap<string, number>;
  /** Ids of objects that are not what was written. */
  readonly damaged: readonly string[];
}

const readsAtOnce = 16;

/**
 * Returns the records of all packs of a trunk but those that `isKnown`. Of each only the key entries are read.
 *
 * @throws {MachineError} if the bucket cannot be listed or read.
 */
export async function findBucketPacks(
  store: ObjectStore,
  prefix: string,
  layout: RecordLayout,
  isKnown: (id: string) => boolean = () => false,
): Promise<FoundPacks> {
  const found: { readonly id: string; readonly object: StoredObject }[] = [];
  for await (const object of store.list(prefix)) {
    const name = object.key.slice(prefix.length);
    if (!name.endsWith(packEnding) || name.includes("/")) continue;
    const id = name.slice(0, -packEnding.length);
    if (!isKnown(id)) found.push({ id, object });
  }
  const records: PackRecord[] = [];
  const damaged: string[] = [];
  const counts = new Map<string, number>();
  await forEachAtOnce(found, readsAtOnce, async ({ id, object }) => {
    const count = object.bytes / (keyEntryBytes + layout.bytes);
    const read = Number.isInteger(count) && count > 0;
    const entries = read ? await store.get(object.key, { from: 0, to: count * keyEntryBytes }) : null;
    if (read && entries === null) return; // Removed since it was listed.
    if (!entries || packIdOf(entries.bytes) !== id) {
      damaged.push(id);
      return;
    }
    counts.set(id, count);
    const bytes = Buffer.from(entries.bytes.buffer, entries.bytes.byteOffset, entries.bytes.byteLength);
    for (let position = 0; position < count; position++) {
      const entry = decodeKeyEntry(bytes.subarray(position * keyEntryBytes, (position + 1) * keyEntryBytes));
      if (entry) records.push({ ...entry, packId: id, position });
    }
  });
  return { records, counts, damaged: damaged.sort() };
}

function packIdOf(entries: Uint8Array): string {
  return createHash("sha256").update(entries).digest("hex").slice(0, 40);
}
