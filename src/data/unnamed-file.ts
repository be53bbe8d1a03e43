import { openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../formats/make-folder.ts";

let files = 0;

/**
 * Opens a file in a folder and takes its name away, so that a killed process leaves nothing. Returns the descriptor, which is the
 * caller's to close; undefined if the file cannot be made, or keeps its name.
 */
export function openUnnamed(folder: string, purpose: string): number | undefined {
  try {
    makeFolder(folder);
    const path = join(folder, `${purpose}-${process.pid}-${files++}.tmp`);
    const file = openSync(path, "wx+");
    unlinkSync(path);
    return file;
  } catch {
    return undefined;
  }
}

/** Writes all bytes at an offset. @throws the system's error. */
export function writeAt(file: number, bytes: Uint8Array, offset: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(file, bytes, done, bytes.length - done, offset + done);
}

/** Fills `target` from an offset. @throws {Error} if the file ends before. */
export function readAt(file: number, target: Uint8Array, offset: number): void {
  let done = 0;
  while (done < target.length) {
    const read = readSync(file, target, done, target.length - done, offset + done);
    if (read === 0)
      throw new Error(`unnamed file: expected ${target.length} bytes at ${offset}, got ${done}`);
    done += read;
  }
}
