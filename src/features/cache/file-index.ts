import { mkdir, open, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { crc32 } from "node:zlib";
import { contentHash } from "../../data/file-bytes.ts";

/** Content hashes of files that have not changed since they were last read. */
export interface FileIndex {
  /** Returns the sha256 of the file's bytes, in hexadecimal. @throws the system's error (ENOENT, EACCES). */
  hashOf(path: string): Promise<string>;
  /** Writes what is new. Never fails: an index only spares reading files again. */
  close(): Promise<void>;
}

interface Entry {
  readonly path: string;
  /** Facts that change whenever the bytes do: size, inode, and the times of content and of inode in nanoseconds. */
  readonly state: string;
  readonly hash: string;
}

/** A file that changed this recently may change again without a new time: it is read every time. */
const settledNs = 2_000_000_000n;

/**
 * Opens the index of files at `path`: lines that any process may append to, each with a checksum of its own, so that a half-written one is
 * passed over. It is rewritten, by a rename, when most of its lines are stale.
 */
export async function openFileIndex(path: string): Promise<FileIndex> {
  const entries = new Map<string, Entry>();
  const fresh: Entry[] = [];
  const text = await readFile(path, "utf8").catch(() => "");
  const lines = text.split("\n");
  for (const line of lines) {
    const entry = parseLine(line);
    if (entry) entries.set(entry.path, entry);
  }
  const stale = lines.length > 1000 && lines.length > 3 * entries.size;
  const endsInsideLine = text.length > 0 && !text.endsWith("\n");
  return {
    async hashOf(file) {
      const absolute = resolve(file);
      const state = await stateOf(absolute);
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
    },
    async close() {
      if (fresh.length === 0 && !stale) return;
      try {
        await mkdir(dirname(path), { recursive: true });
        if (stale) await rewrite(path, [...entries.values()]);
        else await append(path, fresh.splice(0), endsInsideLine);
      } catch {
        // The next run reads the files again.
      }
    },
  };
}

async function stateOf(path: string): Promise<{ text: string; settled: boolean }> {
  const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
  const settled = BigInt(Date.now()) * 1_000_000n - ctimeNs > settledNs;
  return { text: [dev, ino, size, mtimeNs, ctimeNs].join("."), settled };
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
