import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { MachineError } from "../errors.ts";
import { isBucketAddress } from "../storage/address.ts";
import { forEachAtOnce } from "../storage/at-once.ts";
import { knownObject, readObject } from "./bucket-files.ts";

/**
 * Returns the bytes of a file on a disk or in a bucket, or why there are none in words that follow a path and a colon.
 *
 * @throws {MachineError} if the disk or the storage fails.
 */
export async function readFileBytes(path: string, maxBytes: number): Promise<Buffer | string> {
  if (isBucketAddress(path)) return readObjectBytes(path, maxBytes);
  try {
    const status = await stat(path);
    if (!status.isFile()) return "not a file.";
    if (status.size > maxBytes) return `too large: expected at most ${maxBytes} bytes, got ${status.size}.`;
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return "no such file.";
    if (code === "EACCES" || code === "EPERM") return "permission denied.";
    if (code === "EIO" || code === "ELOOP" || code === "ENOTDIR" || code === "ENAMETOOLONG")
      return `cannot be read (${code}).`;
    throw new MachineError(`${path}: cannot be read: ${message.replace(/\.$/, "")}.`);
  }
}

/** Faults of one object, which say nothing about the others. */
const objectFaults: Readonly<Record<string, string>> = {
  "s3-access": "access denied.",
  "s3-archived": "archived: restore it first.",
};

async function readObjectBytes(address: string, maxBytes: number): Promise<Buffer | string> {
  try {
    const listed = knownObject(address)?.bytes ?? 0;
    const bytes = listed > maxBytes ? null : await readObject(address);
    const size = bytes?.length ?? listed;
    if (size > maxBytes) return `too large: expected at most ${maxBytes} bytes, got ${size}.`;
    return bytes ?? "no such object.";
  } catch (error) {
    const reason = error instanceof MachineError ? objectFaults[error.code] : undefined;
    if (reason !== undefined) return reason;
    throw error;
  }
}

/** Returns the sha256 of a file's bytes, in hexadecimal: at once where it is known, else when they are read. */
export type HashFile = (path: string) => string | Promise<string>;

const smallBytes = 4 << 20;

/**
 * Returns the sha256 of a file's bytes, in hexadecimal.
 *
 * @throws {MachineError} if the storage of a bucket fails. @throws the system's error for a file on a disk.
 */
export async function contentHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  if (isBucketAddress(path)) {
    const bytes = await readObjectBytes(path, Number.POSITIVE_INFINITY);
    if (typeof bytes === "string") throw new Error(`${path}: ${bytes}`);
    return hash.update(bytes).digest("hex");
  }
  // A stream of its own costs more than a small file's bytes.
  if ((await stat(path)).size <= smallBytes) return hash.update(await readFile(path)).digest("hex");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}

/** Files that are hashed at once: more of them only wait for each other, unless they are read over a network. */
const hashesAtOnce = 32;
/** Hashes that are known at once between two turns of the event loop. */
const hashesInTurn = 1 << 13;

/**
 * Returns the sha256 of each file's bytes, null for a file that cannot be read. A path that stands there again is not read again.
 *
 * @throws {MachineError} if a storage does not answer. @throws the reason of the signal once it is aborted.
 */
export async function contentHashes(
  paths: readonly string[],
  hashFile: HashFile,
  signal?: AbortSignal,
): Promise<readonly (string | null)[]> {
  const hashes = new Array<string | null>(paths.length).fill(null);
  /** Views of one file share its path. */
  const asked = new Map<string, ReturnType<typeof hashOrNull>>();
  await forEachAtOnce(paths.keys(), hashesAtOnce, (index) => {
    const path = paths[index] ?? "";
    const earlier = asked.get(path);
    const hash = earlier === undefined ? hashOrNull(path, hashFile) : earlier;
    asked.set(path, hash);
    const isTurn = index % hashesInTurn === hashesInTurn - 1;
    if (isTurn) signal?.throwIfAborted();
    if (!(hash instanceof Promise)) {
      hashes[index] = hash;
      return isTurn ? nextTurn() : undefined;
    }
    return hash.then((found) => {
      signal?.throwIfAborted();
      hashes[index] = found;
    });
  });
  signal?.throwIfAborted();
  return hashes;
}

function hashOrNull(path: string, hashFile: HashFile): string | null | Promise<string | null> {
  try {
    const hash = hashFile(path);
    return typeof hash === "string" ? hash : hash.catch(unreadable);
  } catch (error) {
    return unreadable(error);
  }
}

/** Passes over a file that cannot be read, which is told of when it is decoded, but not over a storage that does not answer. */
function unreadable(error: unknown): null {
  if (error instanceof MachineError) throw error;
  return null;
}
