import { statSync } from "node:fs";
import { open, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { findObject, knownObject } from "../../data/bucket-files.ts";
import { contentHash, type HashFile } from "../../data/file-bytes.ts";
import { makeFolder } from "../../formats/make-folder.ts";
import { isBucketAddress, pathIn } from "../../storage/address.ts";
import { bucketSegments, type SharedSegments } from "./bucket-segments.ts";
import { localFolderOf } from "./cache-directory.ts";
import {
  type ByteState,
  bytesIn,
  type FileFacts,
  factsLater,
  factsNow,
  isSameState,
  objectState,
  pathResolver,
} from "./file-facts.ts";
import { decodeSegments, encodeSegments, type IndexEntry, type IndexSegment } from "./index-segment.ts";

/** Files as one run sees them: each is what it was when it was first asked for. */
export interface RunFiles {
  readonly hashOf: HashFile;
  /** Returns the size of a file or an object that was asked for, as it was then; of others as it is; undefined where there is none. */
  sizeOf(path: string): number | undefined;
}

/** Content hashes of files and objects that have not changed since they were last read. */
export interface FileIndex {
  /**
   * Returns the sha256 of the file's bytes, in hexadecimal.
   * @throws the system's error (ENOENT, EACCES). @throws {MachineError} if the storage of a bucket fails.
   */
  readonly hashOf: HashFile;
  forRun(): RunFiles;
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
  const shared = isBucketAddress(directory) ? bucketSegments(pathIn(directory, "files")) : undefined;
  const index = openFileIndex(join(localFolderOf(directory), "files.index"), shared);
  opened.set(directory, index);
  return index;
}

/** Segments after which the file is written anew as one. */
const manySegments = 16;

/**
 * Opens the index of files at `path`: segments that any process may append to, each with a checksum of its own, so that a half-written
 * one is passed over. It is rewritten, by a rename, when there are many of them.
 *
 * @param shared Where the entries of objects are kept; without it in the file too.
 */
export async function openFileIndex(path: string, shared?: SharedSegments): Promise<FileIndex> {
  const absoluteOf = pathResolver();
  /** Entries that are not written yet. */
  const fresh: IndexEntry[] = [];
  const freshObjects: IndexEntry[] = [];
  /** Entries of this process, by their paths. */
  const found = new Map<string, IndexEntry>();
  const read = decodeSegments(await readFile(path).catch(() => Buffer.alloc(0)));
  const isLong = read.length > manySegments;
  const own = isLong ? decodeSegments(encodeSegments(latestEntries(read))) : read;
  let segments = own;
  const keep = (entry: IndexEntry, unwritten: IndexEntry[]): void => {
    found.set(entry.path, entry);
    unwritten.push(entry);
  };
  /** Returns the hash of a path in a state, undefined where it is not known. */
  const knownHash = (absolute: string, state: ByteState): string | undefined => {
    const entry = found.get(absolute);
    if (entry && isSameState(entry.state, state)) return entry.hash;
    for (const segment of segments) {
      const position = segment.find(absolute);
      if (position >= 0 && isSameState(segment.stateAt(position), state)) return segment.hashAt(position);
    }
    return undefined;
  };
  /** Returns the size of a file whose bytes have this hash, undefined where it is not known. */
  const knownSize = (file: string, hash: string): number | undefined => {
    if (isBucketAddress(file)) return undefined;
    const absolute = absoluteOf(file);
    for (const segment of own) {
      const position = segment.find(absolute);
      if (position >= 0 && segment.hashAt(position) === hash) return bytesIn(segment.stateAt(position));
    }
    return undefined;
  };

  let sharing: Promise<void> | undefined;
  let isShared = shared === undefined;
  const readShared = async (): Promise<void> => {
    const theirs = (await shared?.read()) ?? [];
    segments = [...segments, ...theirs.flatMap(decodeSegments)];
    isShared = true;
  };
  const readObjectHash = async (address: string): Promise<string> => {
    sharing ??= readShared();
    await sharing;
    const listed = objectState(await findObject(address));
    const known = listed && knownHash(address, listed);
    if (known) return known;
    const hash = await contentHash(address);
    const state = objectState(knownObject(address));
    if (state !== null) keep({ path: address, state, hash }, freshObjects);
    return hash;
  };
  const hashOfObject = (address: string): string | Promise<string> => {
    const state = isShared ? objectState(knownObject(address)) : null;
    return (state && knownHash(address, state)) ?? readObjectHash(address);
  };

  let [looks, lookingMs, isSlow] = [0, 0, false];
  /** Looks at a file in this thread, which takes a third of the time of a promise as long as the disk answers at once. */
  const timedFacts = (absolute: string): FileFacts => {
    const started = performance.now();
    const facts = factsNow(absolute);
    lookingMs += performance.now() - started;
    isSlow = ++looks >= fewLooks && lookingMs / looks > slowLookMs;
    return facts;
  };
  const readHash = async (absolute: string, before: FileFacts): Promise<string> => {
    const hash = await contentHash(absolute);
    const { state, settled } = await factsLater(absolute);
    if (settled && isSameState(state, before.state)) keep({ path: absolute, state, hash }, fresh);
    return hash;
  };
  const hashOfSlow = async (absolute: string): Promise<string> => {
    const facts = await factsLater(absolute);
    return knownHash(absolute, facts.state) ?? readHash(absolute, facts);
  };
  const hashOf: HashFile = (file) => {
    if (isBucketAddress(file)) return hashOfObject(file);
    const absolute = absoluteOf(file);
    if (isSlow) return hashOfSlow(absolute);
    const facts = timedFacts(absolute);
    return knownHash(absolute, facts.state) ?? readHash(absolute, facts);
  };
  return {
    hashOf,
    forRun() {
      const asked = new Map<string, string | Promise<string>>();
      return {
        hashOf: (file) => {
          const known = asked.get(file);
          if (known !== undefined) return known;
          const hash = hashOf(file);
          asked.set(file, hash);
          return hash;
        },
        sizeOf: (file) => {
          const hash = asked.get(file);
          return (typeof hash === "string" ? knownSize(file, hash) : undefined) ?? sizeNow(file);
        },
      };
    },
    async close() {
      const objects = freshObjects.splice(0);
      if (shared && objects.length > 0) await shared.append(encodeSegments(objects));
      const entries = shared ? fresh.splice(0) : [...fresh.splice(0), ...objects];
      if (entries.length === 0 && !isLong) return;
      try {
        makeFolder(dirname(path));
        const added = [...found.values()].filter((each) => !shared || !isBucketAddress(each.path));
        if (isLong) await rewrite(path, [...latestEntries(own), ...added]);
        else await append(path, entries);
      } catch {
        // The next run reads the files again.
      }
    },
  };
}

/** Looks at files after which their mean time counts, and the mean from which on a disk is slow: over a network, many wait together. */
const fewLooks = 16;
const slowLookMs = 0.2;

/** Returns the size of a file, and of an object as it was last listed or read; undefined where there is none. */
export function sizeNow(file: string): number | undefined {
  return isBucketAddress(file) ? knownObject(file)?.bytes : statSync(file, { throwIfNoEntry: false })?.size;
}

/** Returns the last entry of each path. */
function latestEntries(segments: readonly IndexSegment[]): readonly IndexEntry[] {
  const entries = new Map<string, IndexEntry>();
  for (const segment of segments) {
    for (let position = 0; position < segment.count; position++) {
      const entry = segment.entryAt(position);
      entries.set(entry.path, entry);
    }
  }
  return [...entries.values()];
}

async function append(path: string, entries: readonly IndexEntry[]): Promise<void> {
  const file = await open(path, "a");
  try {
    await file.appendFile(encodeSegments(entries));
  } finally {
    await file.close();
  }
}

async function rewrite(path: string, entries: readonly IndexEntry[]): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, encodeSegments(entries));
  await rename(temporary, path);
}
