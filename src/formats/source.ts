import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import type { JsonObject } from "../checkpoint.ts";
import { KerasFileError } from "../errors.ts";
import { windowFile } from "../hdf5/file-system.ts";
import { type Hdf5File, openVirtual } from "../hdf5/reader.ts";
import { systemError } from "../hdf5/system-error.ts";
import { untilNotStarved } from "../hdf5/time-limit.ts";
import { isObject } from "../topology/config-values.ts";
import { readZip, type ZipEntry } from "../zip/reader.ts";
import { refuseForeignFile, refuseForeignPrefix } from "./foreign-files.ts";
import { parsePythonJson } from "./python-json.ts";
import { refuseRemoteSource } from "./remote-address.ts";

/** An open file or a folder, its kind recognized by its contents whatever its name. `path` is its name in error messages. */
export type Source =
  | { readonly kind: "folder"; readonly path: string }
  | { readonly kind: "zip"; readonly path: string; readonly entries: ReadonlyMap<string, ZipEntry> }
  | { readonly kind: "json"; readonly path: string; readonly json: JsonObject }
  | { readonly kind: "hdf5"; readonly path: string; readonly file: Hdf5File };

/**
 * Opens a file or folder, and closes it after `use`, which is called again where the processor was too busy to read the file in time.
 * @throws {KerasFileError} if it is missing, empty, damaged, or another program's.
 */
export async function withSource<T>(path: string, use: (source: Source) => T | Promise<T>): Promise<T> {
  return untilNotStarved(() => withOpenSource(path, use));
}

async function withOpenSource<T>(path: string, use: (source: Source) => T | Promise<T>): Promise<T> {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    refuseForeignPrefix(path);
    refuseRemoteSource(path);
    throw systemError(path, error);
  }
  try {
    const status = fstatSync(descriptor);
    if (status.isDirectory()) return await use({ kind: "folder", path });
    return await withFile(descriptor, status.size, path, use);
  } finally {
    closeSync(descriptor);
  }
}

async function withFile<T>(
  descriptor: number,
  length: number,
  path: string,
  use: (source: Source) => T | Promise<T>,
): Promise<T> {
  if (length === 0) throw new KerasFileError(`${path}: the file is empty (0 bytes).`, "empty");
  const head = headOf(descriptor);
  if (head.toString("latin1", 0, 2) === "PK") {
    return await use({ kind: "zip", path, entries: readZip(descriptor, length, path) });
  }
  if (startsAsJson(head)) return await use({ kind: "json", path, json: readJsonFile(path) });
  refuseForeignFile(path, head);
  const file = await openVirtual(windowFile(descriptor, 0, length), path);
  try {
    return await file.limited(() => use({ kind: "hdf5", path, file }));
  } finally {
    file.close();
  }
}

/** Reads the first 64 bytes of a file; a shorter file is filled up with zeros. */
function headOf(descriptor: number): Buffer {
  const head = Buffer.alloc(64);
  readSync(descriptor, head, 0, head.length, 0);
  return head;
}

function startsAsJson(head: Buffer): boolean {
  return /^\s*\{/.test(head.toString("latin1"));
}

/** Reads the object in a JSON file. @throws {KerasFileError} naming the file, if it cannot be read or holds no object. */
export function readJsonFile(path: string): JsonObject {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw systemError(path, error);
  }
  const json = parsePythonJson(text, path);
  if (isObject(json)) return json;
  throw new KerasFileError(`${path}: expected an object, got ${text.slice(0, 40)}.`, "structure");
}
