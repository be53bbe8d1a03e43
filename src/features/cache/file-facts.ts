/** Facts of a file or an object that change whenever its bytes do. */
import { createHash } from "node:crypto";
import { type Stats, statSync } from "node:fs";
import { stat } from "node:fs/promises";
import { resolve, sep } from "node:path";

/** A file that changed this recently may change again without a new time. */
const settledMs = 2000;

/** Four numbers that change whenever the bytes do: of a file its inode, its size, and the times of content and of inode. */
export type ByteState = readonly [number, number, number, number];

/** Facts of a file as the system tells them. */
export interface FileFacts {
  readonly state: ByteState;
  /** True if a later change would show in the state. */
  readonly settled: boolean;
}

/** Returns whether two states are the same. */
export function isSameState(one: ByteState, other: ByteState): boolean {
  return one[0] === other[0] && one[1] === other[1] && one[2] === other[2] && one[3] === other[3];
}

/** Returns the facts of a file. @throws the system's error. */
export function factsNow(path: string): FileFacts {
  return factsOf(statSync(path));
}

/** Returns the facts of a file without waiting for a slow disk in this thread. @throws the system's error. */
export async function factsLater(path: string): Promise<FileFacts> {
  return factsOf(await stat(path));
}

/**
 * The number of the disk is left out: the machines of a cluster number what they share each in its own way, and the inode's time of change
 * tells two files apart.
 */
function factsOf({ ino, size, mtimeMs, ctimeMs }: Stats): FileFacts {
  return { state: [ino, size, mtimeMs, ctimeMs], settled: Date.now() - ctimeMs > settledMs };
}

/** Returns the size in the state of a file. */
export function bytesIn([, bytes]: ByteState): number {
  return bytes;
}

/**
 * Returns the state of an object, from its ETag and its size; null where its server lists nothing that changes with the bytes. An ETag is no
 * key of the content: it is the MD5 of the bytes for some objects and not for others.
 */
export function objectState(
  object: { readonly bytes: number; readonly etag: string | null } | null | undefined,
): ByteState | null {
  if (!object?.etag) return null;
  const digest = createHash("sha256").update(`${object.etag}.${object.bytes}`).digest();
  const number = (index: number): number => digest.readUIntLE(6 * index, 6);
  return [number(0), number(1), number(2), number(3)];
}

/** Returns what makes paths absolute; of many files in one folder the folder is resolved once. */
export function pathResolver(): (file: string) => string {
  let known = { cwd: "", folder: "", absolute: "" };
  return (file) => {
    const end = file.lastIndexOf(sep) + 1;
    const folder = file.slice(0, end);
    const name = file.slice(end);
    if (name === "" || name === "." || name === ".." || (sep !== "/" && file.includes("/")))
      return resolve(file);
    const cwd = process.cwd();
    if (folder !== known.folder || cwd !== known.cwd) {
      const absolute = resolve(folder);
      known = { cwd, folder, absolute: absolute.endsWith(sep) ? absolute : absolute + sep };
    }
    return known.absolute + name;
  };
}
