import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

/** Milliseconds between two looks. */
const interval = 1000;

/** Returns the bytes of all files in a folder, 0 where there is none. Files that go away meanwhile do not count. */
export function folderBytes(folder: string): number {
  let entries: readonly string[];
  try {
    entries = readdirSync(folder, { recursive: true, encoding: "utf8" });
  } catch {
    return 0;
  }
  return entries.reduce((sum, name) => {
    const found = statSync(join(folder, name), { throwIfNoEntry: false });
    return sum + (found?.isFile() ? found.size : 0);
  }, 0);
}

/**
 * Runs `work`, which fills a folder by a program that does not say how far it is, and tells about once a second how many bytes are
 * there.
 */
export async function watchingGrowth<T>(
  folder: string,
  onBytes: (bytes: number) => void,
  work: () => Promise<T>,
): Promise<T> {
  let last = 0;
  const timer = setInterval(() => {
    const bytes = folderBytes(folder);
    if (bytes > last) onBytes(bytes);
    last = Math.max(last, bytes);
  }, interval);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
