/** The files that a table names. */
import { readdir, stat } from "node:fs/promises";
import path, { type PlatformPath } from "node:path";
import { DataError } from "../errors.ts";
import { isBucketAddress, pathIn } from "../storage/address.ts";
import { bucketEntries } from "./bucket-files.ts";
import { byCodePoint, isHidden } from "./file-listing.ts";
import { hasImageExtension } from "./image-format.ts";
import type { ColumnCells } from "./table-cells.ts";
import { rowError } from "./table-file.ts";

/** Places of the files of a table. */
export interface FoundFiles {
  /** One path per row; the plain one where there is no file. */
  readonly paths: readonly string[];
  readonly remarks: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Returns the paths that a cell of a table may mean, the likeliest first: as written; with slashes for the backslashes of Windows;
 * with an extension, where it has none of an image. A relative path starts at the table's folder, which may lie in a bucket.
 */
export function pathsOfCell(folder: string, cell: string, rules: PlatformPath = path): readonly string[] {
  if (isBucketAddress(cell)) return [cell];
  const isAbsolute = rules.isAbsolute(cell) || path.win32.isAbsolute(cell);
  const spellings = cell.includes("\\") && rules.sep === "/" ? [cell, cell.replaceAll("\\", "/")] : [cell];
  const places = spellings.map((spelling) =>
    isAbsolute
      ? rules.normalize(spelling)
      : isBucketAddress(folder)
        ? pathIn(folder, rules.normalize(spelling))
        : rules.join(folder, spelling),
  );
  const isBare = !hasImageExtension(cell) && !/\.[a-z]\w{1,4}$/i.test(cell);
  return isBare
    ? [...places, ...extensions.flatMap((extension) => places.map((place) => place + extension))]
    : places;
}

const extensions = [".jpg", ".png", ".jpeg", ".tif", ".txt"];

/**
 * Finds the file of each row: where its cell says, else in a subfolder of the table's folder.
 *
 * @throws {DataError} if no file exists, or if several subfolders have one of a name.
 */
export async function findFiles(
  folder: string,
  cells: readonly string[],
  { path: table, name, lines }: ColumnCells,
): Promise<FoundFiles> {
  const exists = existence();
  let subfolders: readonly string[] | undefined;
  const paths: string[] = [];
  const missing: number[] = [];
  const used = new Set<string>();
  for (const [row, cell] of cells.entries()) {
    const direct = await firstExisting(pathsOfCell(folder, cell), exists);
    if (direct !== undefined) {
      paths.push(direct);
      continue;
    }
    subfolders ??= await subfoldersOf(folder);
    const found: { readonly place: string; readonly file: string }[] = [];
    for (const place of subfolders) {
      const file = await firstExisting(pathsOfCell(place, cell), exists);
      if (file !== undefined) found.push({ place, file });
    }
    const [only, ...more] = found;
    if (only === undefined) missing.push(row);
    else if (more.length > 0) {
      const places = found.map(({ file }) => file).join(" and ");
      throw rowError(
        table,
        lines[row] ?? 0,
        `column "${name}": expected one file, got ${places}. Write the path from the table's folder.`,
      );
    } else used.add(only.place);
    paths.push(only?.file ?? pathsOfCell(folder, cell)[0] ?? cell);
  }
  if (missing.length === cells.length) {
    throw new DataError(
      `${table}: column "${name}": expected files, got none: ${paths[0]} does not exist. Paths are relative to the table.`,
      "table-files",
    );
  }
  return {
    paths,
    remarks: [...used].map((place) => `${table}: files lie in ${place}`),
    warnings:
      missing.length > 0
        ? [
            missingWarning(
              table,
              missing.map((row) => ({ path: paths[row] ?? "", line: lines[row] ?? 0 })),
              cells.length,
            ),
          ]
        : [],
  };
}

function missingWarning(
  table: string,
  missing: readonly { path: string; line: number }[],
  total: number,
): string {
  const some = missing.slice(0, 3).map(({ path: file, line }) => `${file} (line ${line})`);
  return `${table}: ${missing.length} of ${total} files do not exist: ${some.join(", ")}${missing.length > 3 ? ", …" : ""}.`;
}

async function firstExisting(
  paths: readonly string[],
  exists: (path: string) => Promise<boolean>,
): Promise<string | undefined> {
  for (const each of paths) if (await exists(each)) return each;
  return undefined;
}

/** Lists each folder once, which is faster than asking for each file. */
function existence(): (file: string) => Promise<boolean> {
  const folders = new Map<string, Promise<ReadonlySet<string>>>();
  return async (file) => {
    const folder = path.dirname(file);
    const listing =
      folders.get(folder) ??
      (isBucketAddress(folder)
        ? bucketEntries(folder).then((entries) => new Set(entries.map(({ name }) => name)))
        : readdir(folder).then(
            (names) => new Set(names),
            () => new Set<string>(),
          ));
    folders.set(folder, listing);
    if ((await listing).has(path.basename(file))) return true;
    // Some file systems find a name in another case.
    return (
      (await listing).size > 0 &&
      !isBucketAddress(folder) &&
      process.platform !== "linux" &&
      (await stat(file).then(
        () => true,
        () => false,
      ))
    );
  };
}

async function subfoldersOf(folder: string): Promise<readonly string[]> {
  if (isBucketAddress(folder)) {
    const names = (await bucketEntries(folder)).filter(({ isFolder }) => isFolder).map(({ name }) => name);
    return names
      .filter((name) => !isHidden(name))
      .map((name) => pathIn(folder, name))
      .sort(byCodePoint);
  }
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !isHidden(entry.name))
    .map((entry) => path.join(folder, entry.name))
    .sort(byCodePoint);
}
