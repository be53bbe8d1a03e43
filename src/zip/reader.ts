import { createWriteStream, readSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { crc32, createInflateRaw, inflateRawSync } from "node:zlib";
import { KerasFileError } from "../errors.ts";
import { bytesFile, type VirtualFile, windowFile } from "../hdf5/file-system.ts";
import { systemError } from "../hdf5/system-error.ts";
import { signatures, wideCount, widened, wideValue } from "./format.ts";

/**
 * @file Reads the zip archives that Keras writes and other tools rewrite: entries stored or deflated, zip64 included.
 * Encryption, spanning and other compression methods are refused. See PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.
 */

export interface ZipEntry {
  readonly name: string;
  /** Size in bytes when unpacked. */
  readonly size: number;
  /** Returns the whole contents after verifying their checksum. */
  read(): Uint8Array;
  /**
   * Opens the contents as a file. Those of a stored entry are read from the archive on demand, and their checksum is verified
   * first only if `verify` is true; those of a deflated entry are unpacked into memory and always verified.
   */
  open(verify: boolean): VirtualFile;
  /** Writes the contents to a file at `path` block by block, and verifies their checksum at the end. */
  extractTo(path: string): Promise<void>;
}

/** An archive that is being read: its bytes, and how to refuse it. */
interface Archive {
  readonly descriptor: number;
  /** Size of the archive in bytes. */
  readonly length: number;
  read(position: number, count: number): Buffer;
  fail(problem: string): never;
}

/** The position of the central directory and the number of entries it lists. */
interface Directory {
  readonly count: number;
  readonly size: number;
  readonly start: number;
}

/** The description of an entry in the central directory. */
interface DirectoryRecord {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly size: number;
  readonly packedSize: number;
  /** Start of the entry's local header. */
  readonly position: number;
}

const stored = 0;
const deflated = 8;
/** The factor that no deflate stream exceeds. */
const deflateLimit = 1032;
const blockBytes = 16 * 2 ** 20;
const endBytes = 22;
const longestComment = 0xffff;

/**
 * Returns the entries of a zip archive by name, folders left out.
 * @param descriptor An open file, which remains the caller's to close after the last use of an entry.
 * @param length Size of the archive in bytes.
 * @param label The name of the archive in error messages.
 * @throws {KerasFileError} if the archive is damaged, has an entry outside of it (`../x`), or one whose size cannot be true.
 */
export function readZip(descriptor: number, length: number, label: string): ReadonlyMap<string, ZipEntry> {
  const archive = openArchive(descriptor, length, label);
  const entries = new Map<string, ZipEntry>();
  for (const record of directoryRecords(archive, findDirectory(archive))) {
    if (record.name.endsWith("/")) continue;
    checkRecord(archive, record);
    entries.set(record.name, entryOf(archive, record));
  }
  return entries;
}

function openArchive(descriptor: number, length: number, label: string): Archive {
  const fail = (problem: string): never => {
    throw new KerasFileError(`${label}: zip archive: ${problem}`, "zip");
  };
  const read = (position: number, count: number): Buffer => {
    const isInside = position >= 0 && position + count <= length;
    const target = Buffer.alloc(isInside ? count : 0);
    const got = isInside ? readSync(descriptor, target, 0, count, position) : -1;
    if (got !== count) {
      fail(`${count} bytes at ${position} lie outside of its ${length}. Copy or download it again.`);
    }
    return target;
  };
  return { descriptor, length, read, fail };
}

function findDirectory({ length, read, fail }: Archive): Directory {
  const tailStart = Math.max(0, length - longestComment - endBytes);
  const tail = read(tailStart, length - tailStart);
  let end = tail.length - endBytes;
  while (end >= 0 && tail.readUInt32LE(end) !== signatures.end) end -= 1;
  if (end < 0) {
    fail(
      `no directory at its end: it is truncated at ${length.toLocaleString("en-US")} bytes. Copy or download it again.`,
    );
  }
  const plain: Directory = {
    count: tail.readUInt16LE(end + 10),
    size: tail.readUInt32LE(end + 12),
    start: tail.readUInt32LE(end + 16),
  };
  const hasWideValue = plain.size === wideValue || plain.start === wideValue;
  if (plain.count !== wideCount && !hasWideValue) return plain;
  const locatorStart = tailStart + end - 20;
  const locator = locatorStart >= 0 ? read(locatorStart, 20) : undefined;
  if (locator?.readUInt32LE(0) !== signatures.wideLocator) {
    return hasWideValue ? fail("its zip64 directory is missing.") : plain;
  }
  const record = read(Number(locator.readBigUInt64LE(8)), 56);
  if (record.readUInt32LE(0) !== signatures.wideEnd) fail("its zip64 directory is damaged.");
  return {
    count: Number(record.readBigUInt64LE(32)),
    size: Number(record.readBigUInt64LE(40)),
    start: Number(record.readBigUInt64LE(48)),
  };
}

function* directoryRecords(
  { read, fail }: Archive,
  { count, size, start }: Directory,
): Generator<DirectoryRecord> {
  const directory = read(start, size);
  for (let at = 0, index = 0; index < count; index += 1) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== signatures.directory) {
      fail("its directory is damaged.");
    }
    const nameEnd = at + 46 + directory.readUInt16LE(at + 28);
    const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
    const narrow = [
      directory.readUInt32LE(at + 24),
      directory.readUInt32LE(at + 20),
      directory.readUInt32LE(at + 42),
    ] as const;
    const [unpackedSize, packedSize, position] = widened<readonly [number, number, number]>(
      directory.subarray(nameEnd, extraEnd),
      narrow,
    );
    yield {
      name: directory.toString("utf8", at + 46, nameEnd),
      flags: directory.readUInt16LE(at + 8),
      method: directory.readUInt16LE(at + 10),
      crc: directory.readUInt32LE(at + 16),
      size: unpackedSize,
      packedSize,
      position,
    };
    at = extraEnd + directory.readUInt16LE(at + 32);
  }
}

function checkRecord({ fail }: Archive, { name, flags, method, size, packedSize }: DirectoryRecord): void {
  if (name.startsWith("/") || /^[A-Za-z]:/.test(name) || name.split(/[/\\]/).includes("..")) {
    fail(`entry ${JSON.stringify(name)} lies outside of the archive. Refused.`);
  }
  if (flags & 1) fail(`${name} is encrypted. Refused.`);
  if (method !== stored && method !== deflated) {
    fail(`${name}: compression: expected stored (0) or deflated (8), got ${method}.`);
  }
  if (size > packedSize * (method === stored ? 1 : deflateLimit)) {
    fail(
      `${name} claims ${size.toLocaleString("en-US")} bytes out of ${packedSize.toLocaleString("en-US")}. Refused.`,
    );
  }
}

function entryOf(archive: Archive, record: DirectoryRecord): ZipEntry {
  const { descriptor, read, fail } = archive;
  const { name, size, packedSize, method, crc } = record;
  const contentsStart = (): number => {
    const local = read(record.position, 30);
    if (local.readUInt32LE(0) !== signatures.local) fail(`${name}: its header is damaged.`);
    return record.position + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
  };
  const checkSum = (sum: number): void => {
    if (sum !== crc) {
      fail(`${name}: the checksum does not fit: the file is damaged. Copy or download it again.`);
    }
  };
  const cannotUnpack = (error: unknown): never =>
    fail(`${name} cannot be unpacked: ${error instanceof Error ? error.message : String(error)}.`);
  const unpack = (): Uint8Array => {
    const packed = read(contentsStart(), packedSize);
    if (method === stored) return packed;
    try {
      // One chunk holds all of it: of several, zlib makes a second copy.
      return inflateRawSync(packed, {
        maxOutputLength: Math.max(1, size),
        chunkSize: Math.max(64, size + 1),
      });
    } catch (error) {
      return cannotUnpack(error);
    }
  };
  const verifiedContents = (): Uint8Array => {
    const bytes = unpack();
    checkSum(crc32(bytes));
    return bytes;
  };
  async function* verified(blocks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let sum = 0;
    let done = 0;
    for await (const block of blocks) {
      sum = crc32(block, sum);
      done += block.length;
      if (done > size) cannotUnpack(`it holds more than its ${size} bytes`);
      yield block;
    }
    checkSum(sum);
  }
  return {
    name,
    size,
    read: verifiedContents,
    open: (verify) => {
      if (method === deflated) return bytesFile(verifiedContents());
      const start = contentsStart();
      if (verify) {
        let sum = 0;
        for (const block of blocksOf(archive, start, size)) sum = crc32(block, sum);
        checkSum(sum);
      }
      return windowFile(descriptor, start, size);
    },
    extractTo: async (path) => {
      const packed = Readable.from(blocksOf(archive, contentsStart(), packedSize));
      const target = createWriteStream(path);
      try {
        if (method === stored) await pipeline(packed, verified, target);
        else await pipeline(packed, createInflateRaw(), verified, target);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        throw code?.startsWith("Z_") ? cannotUnpack(error) : systemError(path, error);
      }
    },
  };
}

/** Yields `size` bytes of the archive from `start` in blocks. */
function* blocksOf({ read }: Archive, start: number, size: number): Generator<Buffer> {
  for (let done = 0; done < size; done += blockBytes) {
    yield read(start + done, Math.min(blockBytes, size - done));
  }
}
