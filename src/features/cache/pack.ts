import { randomBytes } from "node:crypto";
import { type FileHandle, open, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { encodeKeyEntry, keyEntryBytes, type RecordLayout, recordChecksum } from "./record.ts";
import type { PackRecord, RecordIndex } from "./record-index.ts";

/*
 * A pack is two files that one process appends to and any may read: `<id>.pack`, records of one size, and `<id>.keys`, one entry a
 * record in the same order. The entry is written after its record: what a kill leaves half-written has no entry, or an entry whose
 * own checksum fails, and counts as absent.
 */

export interface PackWriter {
  readonly id: string;
  /** Appends a record. @throws the system's error (ENOSPC, EIO), with the pack as it was before the call. */
  append(sampleKey: string, parts: readonly Uint8Array[]): Promise<PackRecord>;
  close(): Promise<void>;
}

/** Makes a new pack in `folder`, whose name no other writer has. */
export async function createPack(folder: string, layout: RecordLayout): Promise<PackWriter> {
  const id = `${Date.now().toString(36)}-${process.pid}-${randomBytes(4).toString("hex")}`;
  const records = await open(packPath(folder, id), "wx");
  const keys = await open(keysPath(folder, id), "wx").catch(async (error) => {
    await records.close();
    throw error;
  });
  let count = 0;
  return {
    id,
    async append(sampleKey, parts) {
      const entry = { sampleKey, checksum: recordChecksum(sampleKey, parts) };
      try {
        let at = count * layout.bytes;
        for (const part of parts) at += await writeAll(records, part, at);
        await writeAll(keys, encodeKeyEntry(entry), count * keyEntryBytes);
      } catch (error) {
        await keys.truncate(count * keyEntryBytes).catch(() => {});
        await records.truncate(count * layout.bytes).catch(() => {});
        throw error;
      }
      return { ...entry, packId: id, position: count++ };
    },
    async close() {
      await Promise.all([records.close(), keys.close()]);
    },
  };
}

/**
 * Adds to `records` the whole records of every pack in `folder` but those that `seen` counts, which is brought up to date, and those of the
 * pack that this process writes. @throws the system's error if the folder cannot be listed.
 */
export async function addNewRecords(
  folder: string,
  layout: RecordLayout,
  {
    records,
    seen,
    written,
  }: { records: RecordIndex; seen: Map<string, number>; written?: string | undefined },
): Promise<void> {
  const names = await readdir(folder);
  const ids = names.filter((name) => name.endsWith(".keys")).map((name) => name.slice(0, -".keys".length));
  const others = ids.filter((id) => id !== written).sort();
  const entries = await Promise.all(others.map((id) => wholeEntries(folder, id, layout)));
  for (const [index, id] of others.entries()) {
    const [from, own] = [seen.get(id) ?? 0, entries[index] ?? Buffer.alloc(0)];
    records.addEntries(id, own.subarray(from * keyEntryBytes), from);
    seen.set(id, Math.max(from, own.length / keyEntryBytes));
  }
}

/** Returns the key entries of a pack that have all of their bytes, and whose records do. */
async function wholeEntries(folder: string, id: string, layout: RecordLayout): Promise<Buffer> {
  // Keys first: records that are written meanwhile make the pack longer, never shorter.
  const bytes = await readFile(keysPath(folder, id)).catch(() => Buffer.alloc(0));
  const size = await stat(packPath(folder, id)).then(
    (status) => status.size,
    () => 0,
  );
  const whole = Math.min(Math.floor(bytes.length / keyEntryBytes), Math.floor(size / layout.bytes));
  return bytes.subarray(0, whole * keyEntryBytes);
}

export interface PackReader {
  /** Returns the bytes from `from` to `to` (exclusive) of a pack's records, as many as there are; null where they cannot be read. */
  readRange(packId: string, from: number, to: number): Promise<Uint8Array | null>;
  /** Fills `parts` with a record's bytes. Returns false if they are not those that were written. */
  read(record: PackRecord, parts: readonly Uint8Array[]): Promise<boolean>;
  close(): Promise<void>;
}

/** Returns a reader of the packs in `folder`, each opened once. */
export function packReader(folder: string, layout: RecordLayout): PackReader {
  const handles = new Map<string, Promise<FileHandle>>();
  const handleOf = (id: string) => {
    const handle = handles.get(id) ?? open(packPath(folder, id), "r");
    handles.set(id, handle);
    return handle;
  };
  return {
    async readRange(packId, from, to) {
      try {
        const bytes = new Uint8Array(to - from);
        const { bytesRead } = await (await handleOf(packId)).read(bytes, 0, bytes.length, from);
        return bytes.subarray(0, bytesRead);
      } catch {
        return null;
      }
    },
    async read(record, parts) {
      try {
        const handle = await handleOf(record.packId);
        let at = record.position * layout.bytes;
        for (const part of parts) at += await readAll(handle, part, at);
        return recordChecksum(record.sampleKey, parts) === record.checksum;
      } catch {
        return false;
      }
    },
    async close() {
      const opened = await Promise.allSettled(handles.values());
      handles.clear();
      await Promise.all(opened.map((handle) => handle.status === "fulfilled" && handle.value.close()));
    },
  };
}

/** Returns whether a file's name is that of a pack or of its keys. */
export function isPackFile(name: string): boolean {
  return name.endsWith(".pack") || name.endsWith(".keys");
}

function packPath(folder: string, id: string): string {
  return join(folder, `${id}.pack`);
}

function keysPath(folder: string, id: string): string {
  return join(folder, `${id}.keys`);
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw Object.assign(new Error("no bytes were written"), { code: "EIO" });
    done += bytesWritten;
  }
  return done;
}

async function readAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done);
    if (bytesRead === 0) throw new Error("the pack ends inside the record");
    done += bytesRead;
  }
  return done;
}
