import { readSync } from "node:fs";
import { crc32, inflateRawSync } from "node:zlib";
import { KerasFileError } from "../errors.ts";
import { bytesFile, type VirtualFile, windowFile } from "../hdf5/file-system.ts";

/**
 * @file The zip archives that Keras writes and others rewrite: entries stored or deflated, with zip64 sizes. No encryption,
 * no spanning, no other compression. See PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.
 */

export interface ZipEntry {
  readonly name: string;
  /** Bytes when unpacked. */
  readonly size: number;
  /** All its bytes, its checksum verified. */
  read(): Uint8Array;
  /** Its bytes as a file, read as they are asked for where they are stored as they are. Verifies the checksum first. */
  open(verify: boolean): VirtualFile;
}

const endSignature = 0x06054b50;
const end64LocatorSignature = 0x07064b50;
const end64Signature = 0x06064b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;
const stored = 0;
const deflated = 8;
/** No deflate stream shrinks its input more than this. */
const deflateLimit = 1032;

/**
 * The entries of the archive behind `descriptor`, `length` bytes long, by name.
 * @throws {KerasFileError} for a damaged archive, an entry outside of it (`../x`), or one too large to be true.
 */
export function readZip(descriptor: number, length: number, label: string): ReadonlyMap<string, ZipEntry> {
  const fail = (what: string): never => {
    throw new KerasFileError(`${label}: zip archive: ${what}`, "zip");
  };
  const read = (position: number, count: number): Buffer => {
    const target = Buffer.alloc(count);
    const got =
      position >= 0 && position + count <= length ? readSync(descriptor, target, 0, count, position) : -1;
    if (got !== count)
      fail(`${count} bytes at ${position} lie outside of its ${length}. Copy or download it again.`);
    return target;
  };
  const tailStart = Math.max(0, length - 0xffff - 22);
  const tail = read(tailStart, length - tailStart);
  let end = tail.length - 22;
  while (end >= 0 && tail.readUInt32LE(end) !== endSignature) end -= 1;
  if (end < 0) {
    fail(
      `no directory at its end: it is truncated at ${length.toLocaleString("en-US")} bytes. Copy or download it again.`,
    );
  }
  let count = tail.readUInt16LE(end + 10);
  let directorySize = tail.readUInt32LE(end + 12);
  let directoryStart = tail.readUInt32LE(end + 16);
  if (count === 0xffff || directorySize === 0xffffffff || directoryStart === 0xffffffff) {
    const locator = read(tailStart + end - 20, 20);
    if (locator.readUInt32LE(0) !== end64LocatorSignature) fail("its zip64 directory is missing.");
    const record = read(Number(locator.readBigUInt64LE(8)), 56);
    if (record.readUInt32LE(0) !== end64Signature) fail("its zip64 directory is damaged.");
    count = Number(record.readBigUInt64LE(32));
    directorySize = Number(record.readBigUInt64LE(40));
    directoryStart = Number(record.readBigUInt64LE(48));
  }
  const directory = read(directoryStart, directorySize);
  const entries = new Map<string, ZipEntry>();
  for (let at = 0, index = 0; index < count; index += 1) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== centralSignature)
      fail("its directory is damaged.");
    const flags = directory.readUInt16LE(at + 8);
    const method = directory.readUInt16LE(at + 10);
    const crc = directory.readUInt32LE(at + 16);
    const nameLength = directory.readUInt16LE(at + 28);
    const extraLength = directory.readUInt16LE(at + 30);
    const commentLength = directory.readUInt16LE(at + 32);
    const name = directory.toString("utf8", at + 46, at + 46 + nameLength);
    const extra = directory.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength);
    const [size, packedSize, header] = wideSizes(extra, [
      directory.readUInt32LE(at + 24),
      directory.readUInt32LE(at + 20),
      directory.readUInt32LE(at + 42),
    ]);
    at += 46 + nameLength + extraLength + commentLength;
    if (name.endsWith("/")) continue;
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
    const start = (): number => {
      const local = read(header, 30);
      if (local.readUInt32LE(0) !== localSignature) fail(`${name}: its header is damaged.`);
      return header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
    };
    const verified = (bytes: Uint8Array): Uint8Array => {
      if (crc32(bytes) !== crc)
        fail(`${name}: the checksum does not fit: the file is damaged. Copy or download it again.`);
      return bytes;
    };
    const unpack = (): Uint8Array => {
      const packed = read(start(), packedSize);
      if (method === stored) return packed;
      try {
        return inflateRawSync(packed, { maxOutputLength: Math.max(1, size) });
      } catch (error) {
        return fail(`${name} cannot be unpacked: ${error instanceof Error ? error.message : String(error)}.`);
      }
    };
    const verifyStored = (from: number): void => {
      let sum = 0;
      for (let done = 0; done < size; done += blockBytes) {
        sum = crc32(read(from + done, Math.min(blockBytes, size - done)), sum);
      }
      if (sum !== crc)
        fail(`${name}: the checksum does not fit: the file is damaged. Copy or download it again.`);
    };
    entries.set(name, {
      name,
      size,
      read: () => verified(unpack()),
      open: (verify) => {
        if (method === deflated) return bytesFile(verified(unpack()));
        const from = start();
        if (verify) verifyStored(from);
        return windowFile(descriptor, from, size);
      },
    });
  }
  return entries;
}

const blockBytes = 16 * 2 ** 20;

/** Size, packed size and position, where 0xffffffff stands for a value in the zip64 extra field. */
function wideSizes(
  extra: Buffer,
  narrow: readonly [number, number, number],
): readonly [number, number, number] {
  let wide: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === 1) wide = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  }
  let used = 0;
  const widened = narrow.map((value) => {
    if (value !== 0xffffffff || used + 8 > wide.length) return value;
    used += 8;
    return Number(wide.readBigUInt64LE(used - 8));
  });
  return widened as unknown as readonly [number, number, number];
}
