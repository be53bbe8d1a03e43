import { lstat, readdir, realpath, stat } from "node:fs/promises";
import path, { join, type PlatformPath, sep } from "node:path";
import { DataError } from "../errors.ts";
import { isBucketAddress, pathIn } from "../storage/address.ts";
import { type BucketEntry, bucketEntries, bucketTree } from "./bucket-files.ts";
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

/**
 * Lists what lies directly in a folder on a disk or in a bucket; a link counts as what it leads to.
 * @throws {DataError} if it cannot be listed. @throws {MachineError} if the storage of a bucket fails.
 */
export async function listFolder(path: string, kind: FileKind): Promise<Listing> {
  if (isBucketAddress(path)) return listBucketFolder(path, await bucketEntries(path), kind);
  const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw listingError(path, error.code);
  });
  entries.sort((a, b) => byCodePoint(a.name, b.name));
  const listing = {
    ...{ path, folders: [] as string[], files: [] as string[] },
    ...{ others: [] as string[], hidden: [] as string[] },
  };
  // Joining each of very many names takes longer than listing them.
  const folder = join(path, "x").slice(0, -1);
  for (const entry of entries) {
    const child = folder + entry.name;
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

function listBucketFolder(path: string, entries: readonly BucketEntry[], kind: FileKind): Listing {
  // A bucket has no empty folders: what holds nothing is not there.
  if (entries.length === 0) throw listingError(path, "ENOENT");
  const sorted = [...entries].sort((a, b) => byCodePoint(a.name, b.name));
  const shown = sorted.filter(({ name }) => !isHidden(name));
  const files = shown.filter(({ isFolder }) => !isFolder);
  const paths = (some: readonly BucketEntry[]) => some.map(({ name }) => pathIn(path, name));
  return {
    path,
    folders: paths(shown.filter(({ isFolder }) => isFolder)),
    files: paths(files.filter(({ name }) => kind.matches(name))),
    others: paths(files.filter(({ name }) => !kind.matches(name))),
    hidden: paths(sorted.filter(({ name }) => isHidden(name))),
  };
}

/**
 * Returns the folders of a bucket's folder and below, each with its entries. All objects are listed in one go, which takes a request for
 * each thousand of them, whatever the number of folders.
 */
async function bucketFolders(address: string): Promise<ReadonlyMap<string, readonly BucketEntry[]>> {
  const folders = new Map<string, Map<string, BucketEntry>>([[address, new Map()]]);
  for (const object of await bucketTree(address)) {
    // A slash at the start of a name is part of it, since no folder is called nothing: cats//1.jpg is /1.jpg in cats.
    const names = object.split(/(?<!\/)\//);
    let folder = address;
    for (const [depth, name] of names.entries()) {
      const isFolder = depth < names.length - 1;
      const entries = folders.get(folder) ?? new Map<string, BucketEntry>();
      folders.set(folder, entries);
      entries.set(`${name}${isFolder ? "/" : ""}`, { name, isFolder });
      folder = pathIn(folder, name);
    }
  }
  return new Map([...folders].map(([folder, entries]) => [folder, [...entries.values()]]));
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
 * @param list Lists a folder on a disk.
 * @throws {DataError} if a folder cannot be listed.
 */
export async function listTree(
  path: string,
  kind: FileKind,
  list: (folder: string) => Promise<Listing> = (folder) => listFolder(folder, kind),
): Promise<Listing> {
  const listings: Listing[] = [];
  const links: string[] = [];
  const inBucket = isBucketAddress(path) ? await bucketFolders(path) : null;
  const walk = async (folder: string): Promise<void> => {
    const listing = inBucket
      ? listBucketFolder(folder, inBucket.get(folder) ?? [], kind)
      : await list(folder);
    listings.push(listing);
    for (const child of listing.folders) {
      if (!inBucket && (await lstat(child)).isSymbolicLink()) links.push(child);
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

/** Lists folders for files of one kind, and each folder once. */
export interface Lister {
  readonly kind: FileKind;
  folder(path: string): Promise<Listing>;
  tree(path: string): Promise<Listing>;
}

export function listerOf(kind: FileKind): Lister {
  const known = new Map<string, Promise<Listing>>();
  const folder = (path: string): Promise<Listing> => {
    const listing = known.get(path) ?? listFolder(path, kind);
    known.set(path, listing);
    return listing;
  };
  return { kind, folder, tree: (path) => listTree(path, kind, folder) };
}

/** Returns whether a folder is a link to a folder that it lies in: following it would never end. */
export async function leadsBack(folder: string): Promise<boolean> {
  if (isBucketAddress(folder) || !(await lstat(folder)).isSymbolicLink()) return false;
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

/** Returns the path of a file below a folder, with slashes on every system: what is hashed of it is the same everywhere. */
export function sharedName(folder: string, file: string, rules: PlatformPath = path): string {
  // What stands there already takes no resolving of two paths.
  const rest = rules.sep === "/" && file.startsWith(`${folder}/`) ? file.slice(folder.length + 1) : "";
  if (/^[^./]/.test(rest) && !rest.includes("/.") && !rest.includes("//")) return rest;
  return rules.relative(folder, file).replaceAll(rules.sep, "/");
}

/** Tells if a file lies below a folder. On Windows a file of another drive, or of another server, does not. */
export function isBelow(folder: string, file: string, rules: PlatformPath = path): boolean {
  // What stands there already takes no resolving of two paths.
  if (rules.sep === "/" && file.startsWith(`${folder}/`) && !file.includes("/..")) return true;
  const way = rules.relative(folder, file);
  return way !== ".." && !way.startsWith(`..${rules.sep}`) && !rules.isAbsolute(way);
}

/** Returns the deepest folder that all of them are or lie in. On Windows folders of several drives have none: that of the first. */
export function commonFolder(folders: readonly string[], rules: PlatformPath = path): string {
  const [first = ".", ...others] = new Set(folders);
  return others.reduce((root, other) => {
    let common = root;
    while (!isBelow(common, other, rules) && common !== rules.dirname(common)) common = rules.dirname(common);
    return common;
  }, first);
}

/** Returns the way from a folder to one in it; to one of another drive or server, a way through a folder called after that. */
export function placeIn(root: string, folder: string, rules: PlatformPath = path): string {
  if (isBelow(root, folder, rules)) return rules.relative(root, folder);
  const drive = rules.parse(folder).root;
  return rules.join(drive.replace(/[\\/:]+/g, "_").replace(/^_|_$/g, ""), rules.relative(drive, folder));
}
