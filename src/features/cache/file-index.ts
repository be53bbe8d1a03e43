import { type BigIntStats, statSync } from "node:fs";
import { open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { crc32 } from "node:zlib";
import { findObject, knownObject } from "../../data/bucket-files.ts";
import { contentHash } from "../../data/file-bytes.ts";
import { makeFolder } from "../../formats/make-folder.ts";
import { isBucketAddress, pathIn } from "../../storage/address.ts";
import { bucketLines, type SharedLines } from "./bucket-lines.ts";
import { localFolderOf } from "./cache-directory.ts";

/** Content hashes of files and objects that have not changed since they were last read. */
export interface FileIndex {
  /**
   * Returns the sha256 of the file's bytes, in hexadecimal.
   * @throws the system's error (ENOENT, EACCES). @throws {MachineError} if the storage of a bucket fails.
   */
  hashOf(path: string): Promise<string>;
  /** Returns `hashOf` for one run, to which every file is what it was when it was first asked for. */
  forRun(): (path: string) => Promise<string>;
  /** Writes what is new. Never fails: an index only spares reading files again. */
  close(): Promise<void>;
}

const opened = new Map<string, Promise<FileIndex>>();

/**
 * Returns the index beside the features in `directory`, the same at every call. Of a cache in a bucket the index of files on this machine
 * is here, and that of objects lies in the bucket, where other machines find it.
 */
export function indexBeside(directory: string): Promise<FileIndex> {
  const known = opened.get(directory);
  if (known) return known;
  const shared = isBucketAddress(directory) ? bucketLines(pathIn(directory, "files")) : undefined;
  const index = openFileIndex(join(localFolderOf(directory), "files.index"), shared);
  opened.set(directory, index);
  return index;
}

interface Entry {
  readonly path: string;
  /**
   * Facts that change whenever the bytes do: size, inode, and the times of content and of inode in nanoseconds; of an object its ETag
   * and size. An ETag is no key of the content: it is the MD5 of the bytes for some objects and not for others.
   */
  readonly state: string;
  readonly hash: string;
}

/** A file that changed this recently may change again without a new time: it is read every time. */
const settledNs = 2_000_000_000n;

/**
 * Opens the index of files at `path`: lines that any process may append to, each with a checksum of its own, so that a half-written one is
 * passed over. It is rewritten, by a rename, when most of its lines are stale.
 *
 * @param shared Where the entries of objects are kept; without it in the file too.
 */
export async function openFileIndex(path: string, shared?: SharedLines): Promise<FileIndex> {
  const entries = new Map<string, Entry>();
  const fresh: Entry[] = [];
  const freshObjects = shared ? ([] as Entry[]) : fresh;
  let sharing: Promise<void> | undefined;
  const text = await readFile(path, "utf8").catch(() => "");
  const lines = text.split("\n");
  for (const line of lines) {
    const entry = parseLine(line);
    if (entry) entries.set(entry.path, entry);
  }
  const stale = lines.length > 1000 && lines.length > 3 * entries.size;
  const endsInsideLine = text.length > 0 && !text.endsWith("\n");
  const readShared = async (): Promise<void> => {
    for (const line of (await shared?.read())?.split("\n") ?? []) {
      const entry = parseLine(line);
      if (entry) entries.set(entry.path, entry);
    }
  };
  const hashOfObject = async (address: string): Promise<string> => {
    sharing ??= readShared();
    await sharing;
    const state = objectState(await findObject(address));
    const known = entries.get(address);
    if (known && known.state === state) return known.hash;
    const hash = await contentHash(address);
    const read = objectState(knownObject(address));
    if (read !== null) {
      const entry = { path: address, state: read, hash };
      entries.set(address, entry);
      freshObjects.push(entry);
    }
    return hash;
  };
  let [looks, lookingMs, isSlow] = [0, 0, false];
  /** Looks at a file in this thread, which takes a third of the time of a promise as long as the disk answers at once. */
  const timedState = (absolute: string): FileState => {
    const started = performance.now();
    const state = fileState(statSync(absolute, { bigint: true }));
    lookingMs += performance.now() - started;
    isSlow = ++looks >= fewLooks && lookingMs / looks > slowLookMs;
    return state;
  };
  const hashOf = async (file: string): Promise<string> => {
    if (isBucketAddress(file)) return hashOfObject(file);
    const absolute = resolve(file);
    const state = isSlow ? await stateOf(absolute) : timedState(absolute);
    const known = entries.get(absolute);
    if (known && known.state === state.text) return known.hash;
    const hash = await contentHash(absolute);
    const after = await stateOf(absolute);
    if (state.text === after.text && after.settled) {
      const entry = { path: absolute, state: after.text, hash };
      entries.set(absolute, entry);
      fresh.push(entry);
    }
    return hash;
  };
  return {
    hashOf,
    forRun() {
      const asked = new Map<string, Promise<string>>();
      return (file) => {
        const hash = asked.get(file) ?? hashOf(file);
        asked.set(file, hash);
        return hash;
      };
    },
    async close() {
      if (shared && freshObjects.length > 0)
        await shared.append(freshObjects.splice(0).map(formatLine).join(""));
      if (fresh.length === 0 && !stale) return;
      try {
        makeFolder(dirname(path));
        if (stale) await rewrite(path, [...entries.values()]);
        else await append(path, fresh.splice(0), endsInsideLine);
      } catch {
        // The next run reads the files again.
      }
    },
  };
}

/** Looks at files after which their mean time counts, and the mean from which on a disk is slow: over a network, many wait together. */
const fewLooks = 16;
const slowLookMs = 0.2;

interface FileState {
  readonly text: string;
  /** True if a later change would show in the text. */
  readonly settled: boolean;
}

function fileState({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileState {
  const settled = BigInt(Date.now()) * 1_000_000n - ctimeNs > settledNs;
  return { text: `${dev}.${ino}.${size}.${mtimeNs}.${ctimeNs}`, settled };
}

async function stateOf(path: string): Promise<FileState> {
  return fileState(await stat(path, { bigint: true }));
}

/** Returns the state of an object; null where its server lists nothing that changes with the bytes. */
function objectState(
  object: { readonly bytes: number; readonly etag: string | null } | null | undefined,
): string | null {
  return object?.etag ? `${object.etag}.${object.bytes}` : null;
}

async function append(path: string, entries: readonly Entry[], endsInsideLine: boolean): Promise<void> {
  const file = await open(path, "a");
  try {
    await file.appendFile((endsInsideLine ? "\n" : "") + entries.map(formatLine).join(""));
  } finally {
    await file.close();
  }
}

async function rewrite(path: string, entries: readonly Entry[]): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, entries.map(formatLine).join(""));
  await rename(temporary, path);
}

function formatLine({ path, state, hash }: Entry): string {
  const body = JSON.stringify([hash, state, path]);
  return `${crc32(body).toString(16)} ${body}\n`;
}

function parseLine(line: string): Entry | undefined {
  const space = line.indexOf(" ");
  const body = line.slice(space + 1);
  if (space < 0 || crc32(body).toString(16) !== line.slice(0, space)) return undefined;
  const [hash, state, path] = JSON.parse(body) as [string, string, string];
  return { path, state, hash };
}
