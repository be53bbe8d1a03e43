/** Data files that are objects in a bucket. */
import { closeSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { engineHome } from "../engine/home.ts";
import { bucketAddress, bucketPlace } from "../storage/address.ts";
import type { StoredObject } from "../storage/object-store.ts";
import { openBucket } from "../storage/s3-store.ts";
import { openUnnamed, readAt, writeAt } from "./unnamed-file.ts";

/** Number of objects that are read at once: a reader waits for the network, not for a processor. */
export const bucketConcurrency = 16;

/** Size and ETag of each object as last listed or read, by its address. */
const known = new Map<string, Pick<StoredObject, "bytes" | "etag">>();

/**
 * Returns the bytes of an object; null where there is none. Each version of an object is transferred once a process: its bytes stay in
 * a file without a name until the process ends, as far as the disk has room.
 *
 * @throws {MachineError} if the storage refuses or does not answer.
 */
export async function readObject(address: string): Promise<Buffer | null> {
  const kept = keptBytes(address);
  if (kept) return kept;
  const { bucket, key } = bucketPlace(address);
  const found = await (await openBucket(bucket)).get(key);
  if (!found) {
    known.delete(address);
    return null;
  }
  const { bytes, etag } = found;
  known.set(address, { bytes: bytes.length, etag });
  keep(address, bytes);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns the size and the ETag of an object as last listed or read, undefined where neither was done. */
export function knownObject(address: string): Pick<StoredObject, "bytes" | "etag"> | undefined {
  return known.get(address);
}

/** Returns the size and the ETag of an object; null where there is none. @throws {MachineError} as `readObject`. */
export async function findObject(address: string): Promise<Pick<StoredObject, "bytes" | "etag"> | null> {
  const listed = known.get(address);
  if (listed) return listed;
  const { bucket, key } = bucketPlace(address);
  const found = await (await openBucket(bucket)).find(key);
  if (found) known.set(address, found);
  return found;
}

/** An entry of a folder in a bucket. */
export interface BucketEntry {
  readonly name: string;
  readonly isFolder: boolean;
}

/**
 * Lists what lies directly in a folder of a bucket. Objects that stand for the folder itself are left out.
 * @throws {MachineError} as `readObject`.
 */
export async function bucketEntries(address: string): Promise<readonly BucketEntry[]> {
  const { bucket, key } = bucketPlace(address);
  const prefix = key === "" ? "" : `${key}/`;
  const { objects, folders } = await (await openBucket(bucket)).listFolder(prefix);
  remember(bucket, objects);
  const entries = [
    ...folders.map((path) => {
      const name = path.slice(prefix.length, -1);
      // A folder without a name cannot be entered: its objects count as left out.
      return name === "" ? { name: "/", isFolder: false } : { name, isFolder: true };
    }),
    ...objects.map((object) => ({ name: object.key.slice(prefix.length), isFolder: false })),
  ];
  return entries.filter(({ name }) => name !== "");
}

/** Returns the path below a folder of every object in it. @throws {MachineError} as `readObject`. */
export async function bucketTree(address: string): Promise<readonly string[]> {
  const { bucket, key } = bucketPlace(address);
  const prefix = key === "" ? "" : `${key}/`;
  const paths: string[] = [];
  for await (const object of (await openBucket(bucket)).list(prefix)) {
    if (object.key.endsWith("/")) continue;
    remember(bucket, [object]);
    paths.push(object.key.slice(prefix.length));
  }
  return paths;
}

function remember(bucket: string, objects: readonly StoredObject[]): void {
  for (const { key, bytes, etag } of objects) known.set(bucketAddress({ bucket, key }), { bytes, etag });
}

/** Bytes of objects that were read, one after the other in a file. */
interface Spool {
  readonly file: number;
  readonly maxBytes: number;
  end: number;
  /** Place of each object's bytes, with the ETag that they were read under. */
  readonly places: Map<
    string,
    { readonly from: number; readonly bytes: number; readonly etag: string | null }
  >;
}

const mostSpooled = 50e9;
let spool: Spool | null | undefined;

function keptBytes(address: string): Buffer | undefined {
  const place = spool?.places.get(address);
  // A listing that came later may know of another version.
  if (!spool || !place || known.get(address)?.etag !== place.etag) return undefined;
  const bytes = Buffer.allocUnsafe(place.bytes);
  try {
    readAt(spool.file, bytes, place.from);
    return bytes;
  } catch {
    endSpool();
    return undefined;
  }
}

function keep(address: string, bytes: Uint8Array): void {
  spool ??= openSpool();
  if (!spool || spool.end + bytes.length > spool.maxBytes) return;
  try {
    writeAt(spool.file, bytes, spool.end);
  } catch {
    endSpool();
    return;
  }
  const etag = known.get(address)?.etag ?? null;
  spool.places.set(address, { from: spool.end, bytes: bytes.length, etag });
  spool.end += bytes.length;
}

/** Gives the disk back where it fails or is full: objects are then transferred again. */
function endSpool(): void {
  if (spool) closeSync(spool.file);
  spool = null;
}

function openSpool(): Spool | null {
  const folder = join(engineHome(), "objects");
  const file = openUnnamed(folder, "objects");
  if (file === undefined) return null;
  const { bavail, bsize } = statfsSync(folder);
  return { file, maxBytes: Math.min(mostSpooled, (bavail * bsize) / 2), end: 0, places: new Map() };
}
