import { lstat, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../errors.ts";
import { hasPictureExtension } from "./picture-format.ts";

/** One folder's entries, each list in code-point order, hidden ones left out. */
export interface Listing {
  readonly path: string;
  readonly folders: readonly string[];
  readonly pictures: readonly string[];
  readonly others: readonly string[];
}

/** What lies directly in a folder; a link counts as what it leads to. @throws {DataError} where it cannot be listed. */
export async function listFolder(path: string): Promise<Listing> {
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
  const listing = { path, folders: [] as string[], pictures: [] as string[], others: [] as string[] };
  for (const entry of entries) {
    if (entry.name.startsWith(".") || entry.name === "__MACOSX") continue;
    const child = join(path, entry.name);
    const target = entry.isSymbolicLink() ? await stat(child).catch(() => undefined) : entry;
    if (target?.isDirectory()) listing.folders.push(child);
    else if (target?.isFile() && hasPictureExtension(entry.name)) listing.pictures.push(child);
    else listing.others.push(child);
  }
  for (const list of [listing.folders, listing.pictures, listing.others]) list.sort(byCodePoint);
  return listing;
}

/** Everything in a folder and below, links to folders not followed; it has no folders of its own. @throws {DataError} */
export async function listTree(path: string): Promise<Listing> {
  const pictures: string[] = [];
  const others: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    const listing = await listFolder(folder);
    pictures.push(...listing.pictures);
    others.push(...listing.others);
    for (const child of listing.folders) {
      if ((await lstat(child)).isSymbolicLink()) others.push(child);
      else await walk(child);
    }
  };
  await walk(path);
  return { path, folders: [], pictures, others };
}

/** Python's order of strings, which UTF-8 keeps and JavaScript's own comparison does not. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
