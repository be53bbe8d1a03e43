import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { DataError } from "../errors.ts";
import type { FileKind } from "./file-kind.ts";

/** One folder's entries, each list in code-point order. */
export interface Listing {
  readonly path: string;
  readonly folders: readonly string[];
  /** Files of the kind asked for, by their names. */
  readonly files: readonly string[];
  /** Files of other kinds, and links that lead nowhere. */
  readonly others: readonly string[];
  /** Hidden entries and what systems and tools leave behind: `.DS_Store`, `Thumbs.db`, `__MACOSX`. */
  readonly hidden: readonly string[];
}

const leftBehind = new Set([
  "__macosx",
  "thumbs.db",
  "ehthumbs.db",
  "desktop.ini",
  "@eadir",
  "$recycle.bin",
  "system volume information",
]);

/** Returns whether an entry is hidden or left behind by a system or a tool, and so no part of the data. */
export function isHidden(name: string): boolean {
  return name.startsWith(".") || leftBehind.has(name.toLowerCase());
}

/** Lists what lies directly in a folder; a link counts as what it leads to. @throws {DataError} if it cannot be listed. */
export async function listFolder(path: string, kind: FileKind): Promise<Listing> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw listingError(path, error.code);
  });
  entries.sort((a, b) => byCodePoint(a.name, b.name));
  const listing = {
    ...{ path, folders: [] as string[], files: [] as string[] },
    ...{ others: [] as string[], hidden: [] as string[] },
  };
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (isHidden(entry.name)) {
      listing.hidden.push(child);
      continue;
    }
    const target = entry.isSymbolicLink() ? await stat(child).catch(() => undefined) : entry;
    if (target?.isDirectory()) listing.folders.push(child);
    else if (target?.isFile() && kind.matches(entry.name)) listing.files.push(child);
    else listing.others.push(child);
  }
  return listing;
}

/** Returns the error for a folder that cannot be listed. */
export function listingError(path: string, code: string | undefined): DataError {
  if (code === "ENOENT") {
    return new DataError(
      `${path}: no such folder. Pass a folder with one subfolder per class.`,
      "data-missing",
    );
  }
  if (code === "ENOTDIR") {
    return new DataError(
      `${path}: not a folder. Pass a folder with one subfolder per class.`,
      "data-missing",
    );
  }
  if (code === "EACCES" || code === "EPERM") {
    return new DataError(
      `${path}: cannot be listed: permission denied. Allow reading it, or move it out of the data.`,
      "data-unreadable",
    );
  }
  return new DataError(`${path}: cannot be listed (${code}).`, "data-unreadable");
}

/**
 * Lists everything in a folder and below; the result has no folders of its own. Links to folders inside it are not followed, so
 * that no loop can arise.
 *
 * @throws {DataError} if a folder cannot be listed.
 */
export async function listTree(path: string, kind: FileKind): Promise<Listing> {
  const listings: Listing[] = [];
  const links: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const listing = await listFolder(folder, kind);
    listings.push(listing);
    for (const child of listing.folders) {
      if ((await lstat(child)).isSymbolicLink()) links.push(child);
      else await walk(child);
    }
  };
  await walk(path);
  return {
    path,
    folders: [],
    files: listings.flatMap(({ files }) => files),
    others: [...listings.flatMap(({ others }) => others), ...links],
    hidden: listings.flatMap(({ hidden }) => hidden),
  };
}

/** Returns whether a folder is a link to a folder that it lies in: following it would never end. */
export async function leadsBack(folder: string): Promise<boolean> {
  if (!(await lstat(folder)).isSymbolicLink()) return false;
  const [target, parent] = await Promise.all([realpath(folder), realpath(join(folder, ".."))]);
  return parent === target || parent.startsWith(target.endsWith(sep) ? target : target + sep);
}

/** Compares two strings in Python's order, by code points, which differs from JavaScript's where surrogates occur. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const [x, y] = [a.charCodeAt(index), b.charCodeAt(index)];
    if (x === y) continue;
    const isSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdfff;
    if (isSurrogate(x) !== isSurrogate(y)) {
      // A surrogate stands for a code point above every other unit.
      return isSurrogate(x) ? 1 : -1;
    }
    return x - y;
  }
  return a.length - b.length;
}
