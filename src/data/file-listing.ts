import { lstat, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.ts";
import type { FileKind } from "./file-kind.ts";

/** One folder's entries, each list in code-point order, hidden ones left out. */
export interface Listing {
  readonly path: string;
  readonly folders: readonly string[];
  /** Of the kind asked for, by their names. */
  readonly files: readonly string[];
  readonly others: readonly string[];
}

/** What lies directly in a folder; a link counts as what it leads to. @throws {DataError} where it cannot be listed. */
export async function listFolder(path: string, kind: FileKind): Promise<Listing> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT")
      throw new DataError(
        `${path}: no such folder. Pass a folder with one subfolder a class.`,
        "data-missing",
      );
    if (error.code === "ENOTDIR")
      throw new DataError(`${path}: not a folder. Pass a folder with one subfolder a class.`, "data-missing");
    throw new DataError(`${path}: cannot be listed (${error.code}).`, "data-unreadable");
  });
  const listing = { path, folders: [] as string[], files: [] as string[], others: [] as string[] };
  for (const entry of entries) {
    if (entry.name.startsWith(".") || entry.name === "__MACOSX") continue;
    const child = join(path, entry.name);
    const target = entry.isSymbolicLink() ? await stat(child).catch(() => undefined) : entry;
    if (target?.isDirectory()) listing.folders.push(child);
    else if (target?.isFile() && kind.matches(entry.name)) listing.files.push(child);
    else listing.others.push(child);
  }
  for (const list of [listing.folders, listing.files, listing.others]) list.sort(byCodePoint);
  return listing;
}

/** Everything in a folder and below, links to folders not followed; it has no folders of its own. @throws {DataError} */
export async function listTree(path: string, kind: FileKind): Promise<Listing> {
  const files: string[] = [];
  const others: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const listing = await listFolder(folder, kind);
    files.push(...listing.files);
    others.push(...listing.others);
    for (const child of listing.folders) {
      if ((await lstat(child)).isSymbolicLink()) others.push(child);
      else await walk(child);
    }
  };
  await walk(path);
  return { path, folders: [], files, others };
}

/** Python's order of strings, which UTF-8 keeps and JavaScript's own comparison does not. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
