import { closeSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { KerasFileError } from "../../errors.ts";
import { systemError } from "../../hdf5/system-error.ts";

/** A group of shards that is read like one file. */
export interface Shards {
  /** Size of all shards together in bytes. */
  readonly size: number;
  /** Reads `length` bytes from `position`, across shards if necessary. @throws {KerasFileError} past the end. */
  read(position: number, length: number): Uint8Array<ArrayBuffer>;
}

/**
 * Opens shards in the order of their names, which are relative to `folder`. Each file is opened when it is read.
 * @throws {KerasFileError} for a name that leads out of the folder, and for a missing file.
 */
export function openShards(folder: string, names: readonly string[], label: string): Shards {
  const files: { path: string; start: number; size: number }[] = [];
  let size = 0;
  for (const name of names) {
    if (name.startsWith("/") || /^[A-Za-z]:/.test(name) || name.split(/[/\\]/).includes("..")) {
      throw new KerasFileError(
        `${label}: weights: shard ${JSON.stringify(name)} lies outside of the folder. Refused.`,
        "structure",
      );
    }
    const path = join(folder, name);
    const bytes = sizeOf(path);
    files.push({ path, start: size, size: bytes });
    size += bytes;
  }
  return {
    size,
    read: (position, length) => {
      if (position + length > size) {
        throw new KerasFileError(
          `${label}: weights: expected ${position + length} bytes in ${names.join(", ")}, got ${size}. Copy or download it again.`,
          "truncated",
        );
      }
      const target = new Uint8Array(length);
      for (const file of files) {
        const from = Math.max(position, file.start);
        const to = Math.min(position + length, file.start + file.size);
        if (from < to) {
          readInto(file.path, target.subarray(from - position, to - position), from - file.start);
        }
      }
      return target;
    },
  };
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw systemError(path, error);
  }
}

function readInto(path: string, target: Uint8Array, position: number): void {
  const descriptor = openSync(path, "r");
  try {
    for (let done = 0; done < target.length; ) {
      const got = readSync(descriptor, target, done, target.length - done, position + done);
      if (got === 0) throw new KerasFileError(`${path}: it became shorter while it was read.`, "truncated");
      done += got;
    }
  } finally {
    closeSync(descriptor);
  }
}
