import { readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { type VirtualFile, windowFile } from "../hdf5/file-system.ts";
import { reservedField, signatures, wideCount, wideField, wideValue } from "./format.ts";

/** A zip archive that is being written. Its entries are stored uncompressed, as Keras stores those of a `.keras`. */
export interface ZipWriter {
  /** Appends an entry with these contents. */
  add(name: string, bytes: Uint8Array): void;
  /** Appends an entry with whatever `write` puts into the file that it is given. */
  addFile(name: string, write: (file: VirtualFile) => Promise<void>): Promise<void>;
  /** Writes the central directory, without which the archive is incomplete. */
  finish(): void;
}

export interface ZipWriterOptions {
  /**
   * The smallest size or position, in bytes, that is written as a zip64 field. Defaults to the smallest that does not fit
   * the 32 bits of the plain field; a smaller number gives archives that are larger but equally valid.
   */
  readonly wideFrom?: number;
}

/** The description of an entry in the central directory. */
interface WrittenEntry {
  readonly name: Buffer;
  readonly crc: number;
  readonly size: number;
  /** Start of its local header. */
  readonly position: number;
}

const blockBytes = 16 * 2 ** 20;
/** The general purpose flag for names in UTF-8. */
const flags = 0x0800;
/** 1980-01-01, so that archives of equal contents are equal. */
const date = 0x0021;
/** PKWARE's versions of the format: 2.0 for folders and stored entries, 4.5 for zip64. */
const plainVersion = 20;
const wideVersion = 45;
/** The high byte of "made by": Unix. */
const unix = 3;
/** Bytes of a zip64 field with a size and a packed size. */
const wideSizesBytes = 4 + 2 * 8;

/**
 * Starts a zip archive at position 0 of an open file, which remains the caller's to close. Entries, positions and counts
 * beyond the limits of the original format are written as zip64.
 */
export function createZip(descriptor: number, { wideFrom = wideValue }: ZipWriterOptions = {}): ZipWriter {
  const entries: WrittenEntry[] = [];
  let at = 0;
  const put = (bytes: Uint8Array, position: number): void => {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
    }
  };
  /** Writes the header of the entry whose contents stand behind `extraBytes` bytes of extra field. */
  const close = (name: Buffer, size: number, crc: number, extraBytes: number): void => {
    const isWide = size >= wideFrom;
    const extra = isWide
      ? wideField([size, size])
      : extraBytes > 0
        ? reservedField(extraBytes)
        : Buffer.alloc(0);
    const entry = { name, crc, size, position: at };
    put(
      Buffer.concat([signature(signatures.local), commonHeader(entry, isWide, extra.length), name, extra]),
      at,
    );
    entries.push(entry);
    at += 30 + name.length + extraBytes + size;
  };
  return {
    add: (text, bytes) => {
      const name = Buffer.from(text, "utf8");
      const extraBytes = bytes.length >= wideFrom ? wideSizesBytes : 0;
      put(bytes, at + 30 + name.length + extraBytes);
      close(name, bytes.length, crc32(bytes), extraBytes);
    },
    addFile: async (text, write) => {
      const name = Buffer.from(text, "utf8");
      const start = at + 30 + name.length + wideSizesBytes;
      const file = windowFile(descriptor, start, 0);
      await write(file);
      const size = file.size();
      close(name, size, checksum(descriptor, start, size), wideSizesBytes);
    },
    finish: () => {
      const directory = Buffer.concat(entries.map((entry) => directoryRecord(entry, wideFrom)));
      put(directory, at);
      put(endRecords(entries.length, directory.length, at, wideFrom), at + directory.length);
    },
  };
}

function checksum(descriptor: number, start: number, size: number): number {
  let sum = 0;
  const block = Buffer.alloc(Math.min(blockBytes, size));
  for (let done = 0; done < size; ) {
    const got = readSync(descriptor, block, 0, Math.min(block.length, size - done), start + done);
    sum = crc32(block.subarray(0, got), sum);
    done += got;
  }
  return sum;
}

/** The 26 bytes that local headers and directory records have in common. */
function commonHeader({ name, crc, size }: WrittenEntry, isWide: boolean, extraBytes: number): Buffer {
  const header = Buffer.alloc(26);
  header.writeUInt16LE(isWide ? wideVersion : plainVersion, 0);
  header.writeUInt16LE(flags, 2);
  header.writeUInt16LE(date, 8);
  header.writeUInt32LE(crc, 10);
  header.writeUInt32LE(isWide ? wideValue : size, 14);
  header.writeUInt32LE(isWide ? wideValue : size, 18);
  header.writeUInt16LE(name.length, 22);
  header.writeUInt16LE(extraBytes, 24);
  return header;
}

function directoryRecord(entry: WrittenEntry, wideFrom: number): Buffer {
  const { name, size, position } = entry;
  const hasWideSize = size >= wideFrom;
  const hasWidePosition = position >= wideFrom;
  const wide = [...(hasWideSize ? [size, size] : []), ...(hasWidePosition ? [position] : [])];
  const extra = wide.length > 0 ? wideField(wide) : Buffer.alloc(0);
  const version = wide.length > 0 ? wideVersion : plainVersion;
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE(hasWidePosition ? wideValue : position, 10);
  const common = commonHeader(entry, hasWideSize, extra.length);
  common.writeUInt16LE(version, 0);
  return Buffer.concat([
    signature(signatures.directory),
    Buffer.from([version, unix]),
    common,
    tail,
    name,
    extra,
  ]);
}

/** The end of the archive, behind a zip64 end where a number does not fit the plain one. */
function endRecords(count: number, size: number, start: number, wideFrom: number): Buffer {
  const isWide = count >= wideCount || size >= wideFrom || start >= wideFrom;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(signatures.end, 0);
  end.writeUInt16LE(Math.min(count, wideCount), 8);
  end.writeUInt16LE(Math.min(count, wideCount), 10);
  end.writeUInt32LE(size >= wideFrom ? wideValue : size, 12);
  end.writeUInt32LE(start >= wideFrom ? wideValue : start, 16);
  if (!isWide) return end;
  const wide = Buffer.alloc(56);
  wide.writeUInt32LE(signatures.wideEnd, 0);
  wide.writeBigUInt64LE(BigInt(wide.length - 12), 4);
  wide.writeUInt16LE(wideVersion | (unix << 8), 12);
  wide.writeUInt16LE(wideVersion, 14);
  wide.writeBigUInt64LE(BigInt(count), 24);
  wide.writeBigUInt64LE(BigInt(count), 32);
  wide.writeBigUInt64LE(BigInt(size), 40);
  wide.writeBigUInt64LE(BigInt(start), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(signatures.wideLocator, 0);
  locator.writeBigUInt64LE(BigInt(start + size), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([wide, locator, end]);
}

function signature(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
