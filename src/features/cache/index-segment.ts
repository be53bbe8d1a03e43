/** Parts of an index of files: each is written in one go, and is read whole or not at all. */
import { crc32 } from "node:zlib";
import type { ByteState } from "./file-facts.ts";

/** A file or an object as it was when its bytes were read. */
export interface IndexEntry {
  /** Absolute path of a file, address of an object. */
  readonly path: string;
  readonly state: ByteState;
  /** The sha256 of the bytes, in hexadecimal. */
  readonly hash: string;
}

/** Entries in the order of their paths. */
export interface IndexSegment {
  readonly count: number;
  /** Returns the position of a path, -1 where it is not there. The one after the last that was found takes no search. */
  find(path: string): number;
  hashAt(position: number): string;
  stateAt(position: number): ByteState;
  entryAt(position: number): IndexEntry;
}

const stateNumbers = 4;
const stateBytes = 8 * stateNumbers;
const hashBytes = 32;
const magic = Buffer.from("\nKFINDX1", "latin1");
/** The mark, the size of what follows the head, its CRC-32, and the number of entries. */
const headBytes = magic.length + 12;
/** One string of all paths must be far from the longest that there may be. */
const mostEntries = 1 << 18;
/** Parts paths, in none of which it can be. */
const separator = "\0";

/** Returns the entries as segments, one after the other, of 64 bytes and the path for each. */
export function encodeSegments(entries: readonly IndexEntry[]): Buffer {
  const writable = entries.filter(({ path }) => !path.includes(separator));
  const sorted = writable.sort((one, other) => (one.path < other.path ? -1 : one.path > other.path ? 1 : 0));
  const segments: Buffer[] = [];
  for (let from = 0; from < sorted.length; from += mostEntries) {
    segments.push(encodeSegment(sorted.slice(from, from + mostEntries)));
  }
  return Buffer.concat(segments);
}

function encodeSegment(entries: readonly IndexEntry[]): Buffer {
  const states = Float64Array.from(entries.flatMap(({ state }) => state));
  const body = Buffer.concat([
    new Uint8Array(states.buffer),
    Buffer.from(entries.map(({ hash }) => hash).join(""), "hex"),
    Buffer.from(entries.map(({ path }) => path).join(separator), "utf8"),
  ]);
  const head = Buffer.alloc(headBytes);
  magic.copy(head);
  head.writeUInt32LE(body.length, magic.length);
  head.writeUInt32LE(crc32(body, entries.length), magic.length + 4);
  head.writeUInt32LE(entries.length, magic.length + 8);
  return Buffer.concat([head, body]);
}

/** Returns the whole segments among some bytes, in order; whatever else is there is passed over. */
export function decodeSegments(bytes: Buffer): readonly IndexSegment[] {
  const segments: IndexSegment[] = [];
  let at = bytes.indexOf(magic);
  while (at >= 0) {
    const found = segmentAt(bytes, at);
    if (found) segments.push(found.segment);
    at = bytes.indexOf(magic, found ? found.end : at + 1);
  }
  return segments;
}

/** Returns the segment whose head is at `at` and where it ends; undefined if it is not what was written. */
function segmentAt(
  bytes: Buffer,
  at: number,
): { readonly segment: IndexSegment; readonly end: number } | undefined {
  const start = at + headBytes;
  if (bytes.length < start) return undefined;
  const end = start + bytes.readUInt32LE(at + magic.length);
  if (bytes.length < end) return undefined;
  const body = bytes.subarray(start, end);
  const count = bytes.readUInt32LE(at + magic.length + 8);
  if (crc32(body, count) !== bytes.readUInt32LE(at + magic.length + 4)) return undefined;
  const segment = decodeSegment(body, count);
  return segment && { segment, end };
}

function decodeSegment(body: Buffer, count: number): IndexSegment | undefined {
  const statesEnd = count * stateBytes;
  const hashesEnd = statesEnd + count * hashBytes;
  const paths = body.toString("utf8", hashesEnd).split(separator);
  if (hashesEnd > body.length || paths.length !== count) return undefined;
  const states = new Float64Array(new Uint8Array(body.subarray(0, statesEnd)).buffer);
  const hashes = body.toString("hex", statesEnd, hashesEnd);
  let expected = 0;
  const find = (path: string): number => {
    if (paths[expected] !== path) expected = placeOf(path, paths);
    return paths[expected] === path ? expected++ : -1;
  };
  const hashAt = (position: number): string =>
    hashes.slice(2 * hashBytes * position, 2 * hashBytes * (position + 1));
  const stateAt = (position: number): ByteState => {
    const at = stateNumbers * position;
    return [states[at] ?? 0, states[at + 1] ?? 0, states[at + 2] ?? 0, states[at + 3] ?? 0];
  };
  return {
    ...{ count, find, hashAt, stateAt },
    entryAt: (position) => ({
      path: paths[position] ?? "",
      state: stateAt(position),
      hash: hashAt(position),
    }),
  };
}

/** Returns the first position whose path is not before `path`. */
function placeOf(path: string, paths: readonly string[]): number {
  let [from, to] = [0, paths.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((paths[middle] ?? "") < path) from = middle + 1;
    else to = middle;
  }
  return from;
}
