import { mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Makes a folder and those above it that are missing. Node's own recursive call says of a read-only disk that there is no such folder,
 * and never ends where a file system answers so although the folder above is there: `/proc`, a network folder that went away.
 * @returns The topmost folder that was made, null where all were there.
 * @throws the system's error (EACCES, EROFS, ENOSPC, ENOTDIR).
 */
export function makeFolder(folder: string): string | null {
  const path = resolve(folder);
  try {
    mkdirSync(path);
    return path;
  } catch (error) {
    if (isFolder(path)) return null;
    const parent = dirname(path);
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" || parent === path || isFolder(parent))
      throw error;
    const made = makeFolder(parent);
    return makeFolder(path) === null ? made : (made ?? path);
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
