import { createHash } from "node:crypto";
import { forEachAtOnce } from "../../storage/at-once.ts";
import type { ObjectStore, StoredObject } from "../../storage/object-store.ts";
import { encodeKeyEntry, type KeyEntry, keyEntryBytes, type RecordLayout } from "./record.ts";
import type { PackRecord } from "./record-index.ts";

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
  /** The key entries of each pack, by its id. */
  readonly entries: ReadonlyMap<string, Buffer>;
  /** Ids of objects that are not what was written. */
  readonly damaged: readonly string[];
}

const readsAtOnce = 16;

/**
 * Returns the key entries of all packs of a trunk but those that `isKnown`; nothing else of them is read.
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
  const damaged: string[] = [];
  const entries = new Map<string, Buffer>();
  await forEachAtOnce(found, readsAtOnce, async ({ id, object }) => {
    const count = object.bytes / (keyEntryBytes + layout.bytes);
    const read = Number.isInteger(count) && count > 0;
    const own = read ? await store.get(object.key, { from: 0, to: count * keyEntryBytes }) : null;
    if (read && own === null) return; // Removed since it was listed.
    if (own && packIdOf(own.bytes) === id) {
      entries.set(id, Buffer.from(own.bytes.buffer, own.bytes.byteOffset, own.bytes.byteLength));
    } else damaged.push(id);
  });
  return { entries, damaged: damaged.sort() };
}

function packIdOf(entries: Uint8Array): string {
  return createHash("sha256").update(entries).digest("hex").slice(0, 40);
}
