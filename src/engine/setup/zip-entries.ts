import { createReadStream, createWriteStream } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join, normalize, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { createInflateRaw } from "node:zlib";
import { MachineError } from "../../errors.ts";

interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly compressedSize: number;
  readonly headerOffset: number;
}

/** Extracts the entries that `wanted` accepts from a zip file into `folder`, streaming. Returns their names. */
export async function extractZipEntries(
  file: string,
  folder: string,
  wanted: (name: string) => boolean,
): Promise<string[]> {
  const handle = await open(file);
  try {
    const entries = (await readDirectory(file, handle)).filter((entry) => wanted(entry.name));
    for (const entry of entries) await extractEntry(file, handle, entry, folder);
    return entries.map((entry) => entry.name);
  } finally {
    await handle.close();
  }
}

async function readDirectory(file: string, handle: FileHandle): Promise<ZipEntry[]> {
  const { size } = await handle.stat();
  const tail = await readBytes(handle, Math.max(0, size - 65_557), Math.min(size, 65_557));
  const end = tail.lastIndexOf(Buffer.from("PK\x05\x06"));
  if (end < 0)
    throw new MachineError(
      `${file}: zip: expected a directory at its end, got none. Give a whole wheel.`,
      "wheel",
    );
  const count = tail.readUInt16LE(end + 10);
  const directory = await readBytes(handle, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
  const entries: ZipEntry[] = [];
  for (let position = 0, index = 0; index < count; index++) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((at) =>
      directory.readUInt16LE(position + at),
    );
    entries.push({
      name: directory.toString("utf8", position + 46, position + 46 + nameLength!),
      method: directory.readUInt16LE(position + 10),
      compressedSize: directory.readUInt32LE(position + 20),
      headerOffset: directory.readUInt32LE(position + 42),
    });
    position += 46 + nameLength! + extraLength! + commentLength!;
  }
  return entries;
}

async function extractEntry(
  file: string,
  handle: FileHandle,
  entry: ZipEntry,
  folder: string,
): Promise<void> {
  const target = join(folder, normalize(entry.name));
  if (!target.startsWith(folder + sep)) {
    throw new MachineError(
      `${file}: zip: expected entries inside, got ${entry.name}. Give another wheel.`,
      "wheel",
    );
  }
  await mkdir(dirname(target), { recursive: true });
  const header = await readBytes(handle, entry.headerOffset, 30);
  const start = entry.headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  if (entry.compressedSize === 0) {
    await pipeline([], createWriteStream(target));
    return;
  }
  const bytes = createReadStream(file, { start, end: start + entry.compressedSize - 1 });
  if (entry.method === 0) await pipeline(bytes, createWriteStream(target));
  else await pipeline(bytes, createInflateRaw(), createWriteStream(target));
}

async function readBytes(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
