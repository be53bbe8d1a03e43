import { readSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { MachineError } from "../errors.ts";
import { type VirtualFile, windowFile } from "../hdf5/file-system.ts";

/** A zip archive being written, its entries stored as they are: Keras's `.keras` compresses nothing either. */
export interface ZipWriter {
  add(name: string, bytes: Uint8Array): void;
  /** Adds what `write` puts into a file. */
  addFile(name: string, write: (file: VirtualFile) => Promise<void>): Promise<void>;
  /** Writes the directory; the archive is whole only after it. */
  finish(): void;
}

const limit = 0xffffffff;
const blockBytes = 16 * 2 ** 20;
/** Names in UTF-8. */
const flags = 0x0800;
/** 1980-01-01, so that equal contents are equal files. */
const date = 0x0021;

/** A zip archive from position 0 of `descriptor`, which stays the caller's. `label` is what errors call it. */
export function createZip(descriptor: number, label: string): ZipWriter {
  const directory: Buffer[] = [];
  let at = 0;
  const put = (bytes: Uint8Array, position: number): void => {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
    }
  };
  const checkSize = (end: number): void => {
    if (end <= limit) return;
    throw new MachineError(
      `${label}: a .keras archive of more than 4 GiB is not written. Write .h5 instead.`,
      "size",
    );
  };
  const close = (name: string, size: number, crc: number): void => {
    const encoded = Buffer.from(name, "utf8");
    const start = at + 30 + encoded.length;
    checkSize(start + size);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(date, 8);
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(size, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(encoded.length, 22);
    put(Buffer.concat([uint32(0x04034b50), common, encoded]), at);
    const position = Buffer.alloc(14);
    position.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([uint32(0x02014b50), Buffer.from([20, 3]), common, position, encoded]));
    at = start + size;
  };
  return {
    add: (name, bytes) => {
      const start = at + 30 + Buffer.byteLength(name);
      put(bytes, start);
      close(name, bytes.length, crc32(bytes));
    },
    addFile: async (name, write) => {
      const start = at + 30 + Buffer.byteLength(name);
      const file = windowFile(descriptor, start, 0);
      await write(file);
      const size = file.size();
      let sum = 0;
      const block = Buffer.alloc(Math.min(blockBytes, size));
      for (let done = 0; done < size; ) {
        const got = readSync(descriptor, block, 0, Math.min(block.length, size - done), start + done);
        sum = crc32(block.subarray(0, got), sum);
        done += got;
      }
      close(name, size, sum);
    },
    finish: () => {
      const bytes = Buffer.concat(directory);
      const end = Buffer.alloc(22);
      end.writeUInt32LE(0x06054b50, 0);
      end.writeUInt16LE(directory.length, 8);
      end.writeUInt16LE(directory.length, 10);
      end.writeUInt32LE(bytes.length, 12);
      end.writeUInt32LE(at, 16);
      checkSize(at + bytes.length);
      put(Buffer.concat([bytes, end]), at);
    },
  };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
