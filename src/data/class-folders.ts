import { basename } from "node:path";
import { DataError } from "../errors.ts";
import type { FileDataset, FileSample, ImageDataset, Split, TextDataset } from "./dataset.ts";
import { contentHash } from "./file-bytes.ts";
import type { FileKind } from "./file-kind.ts";
import { fileKinds, imageFiles, textFiles } from "./file-kind.ts";
import { type Listing, listFolder, listTree } from "./file-listing.ts";
import { heldOutByHash } from "./splits.ts";

export interface ClassFolderOptions {
  /** Share of each class held out where there is no val folder; 0.2 by default, 0 for none. */
  readonly validationFraction?: number;
  /** The sha256 of a file's bytes; an index of known files can spare reading them. */
  readonly hashFile?: (path: string) => Promise<string>;
}

export interface ClassFolders extends FileDataset {
  readonly directory: string;
  /** Where the val samples come from. */
  readonly validation: "folder" | "content-hash" | "none";
  /** Files that are not of the kind by their names, and those of it outside the class folders. */
  readonly ignored: readonly string[];
}

export type ImageFolder = ClassFolders & ImageDataset;
export type TextFolder = ClassFolders & TextDataset;

/**
 * The labelled images of a folder of class folders, or of `train/`, `val/` and `test/` with class folders each. Decodes nothing.
 * Classes are train's folders in code-point order, as in `keras.utils.image_dataset_from_directory`; as there, class folders are
 * walked in depth, and links to folders inside them are not followed. Hidden files are left out.
 *
 * @throws {DataError} if the folder is not laid out so.
 */
export async function imageFolder(directory: string, options: ClassFolderOptions = {}): Promise<ImageFolder> {
  return { ...(await classFolders(directory, imageFiles, options)), kind: "images" };
}

/**
 * The labelled texts of a folder laid out as `imageFolder` says: a `.txt` file is one text, as in
 * `keras.utils.text_dataset_from_directory`. Reads nothing.
 *
 * @throws {DataError} if the folder is not laid out so.
 */
export async function textFolder(directory: string, options: ClassFolderOptions = {}): Promise<TextFolder> {
  return { ...(await classFolders(directory, textFiles, options)), kind: "texts" };
}

async function classFolders(
  directory: string,
  kind: FileKind,
  options: ClassFolderOptions,
): Promise<Omit<ClassFolders, "kind">> {
  const root = await listFolder(directory, kind);
  const splits = await splitFolders(root, kind);
  const trainFolder = splits ? await listFolder(splits.train, kind) : root;
  const train = await Promise.all(trainFolder.folders.map((path) => listTree(path, kind)));
  const classNames = checkClasses(directory, trainFolder, train, kind);

  const ignored = splits ? [...root.files, ...root.others, ...splits.unused] : [];
  const samples: FileSample[] = train.flatMap(({ files }, label) =>
    files.map((path) => ({ path, label, split: "train" })),
  );
  ignored.push(...trainFolder.files, ...trainFolder.others, ...train.flatMap(({ others }) => others));
  for (const split of ["val", "test"] as const) {
    const path = splits?.[split];
    if (path === undefined) continue;
    const listed = await listSplit(path, split, classNames, kind);
    samples.push(...listed.samples);
    ignored.push(...listed.ignored);
  }
  const fraction = options.validationFraction ?? 0.2;
  const facts = { directory, classNames, ignored };
  if (splits?.val !== undefined) return { ...facts, samples, validation: "folder" };
  if (fraction === 0) return { ...facts, samples, validation: "none" };
  return {
    ...facts,
    samples: await holdOut(samples, classNames.length, fraction, options.hashFile ?? contentHash),
    validation: "content-hash",
  };
}

interface SplitFolders {
  readonly train: string;
  readonly val?: string;
  readonly test?: string;
  readonly unused: readonly string[];
}

const splitNames: Readonly<Record<string, Split>> = {
  train: "train",
  training: "train",
  val: "val",
  valid: "val",
  validation: "val",
  test: "test",
};

/** The split folders, undefined where the folder's own subfolders are the classes. */
async function splitFolders(root: Listing, kind: FileKind): Promise<SplitFolders | undefined> {
  const found: Partial<Record<Split, string>> = {};
  const unused: string[] = [];
  for (const path of root.folders) {
    const split = splitNames[basename(path).toLowerCase()];
    const twin = split && found[split];
    if (twin)
      throw new DataError(
        `${root.path}: two ${split} folders: ${basename(twin)} and ${basename(path)}. Keep one.`,
        "data-two-splits",
      );
    if (split) found[split] = path;
    else unused.push(path);
  }
  const { train, val, test } = found;
  if (train === undefined) {
    if (root.folders.length === 0 || unused.length > 0) return undefined;
    const names = root.folders.map((path) => basename(path)).join(" and ");
    throw new DataError(
      `${root.path}: has ${names} but no train folder. Expected ${root.path}/train/<class>/${kind.pattern}.`,
      "data-no-train",
    );
  }
  if (val === undefined && test === undefined && (await isClassCalledTrain(train, unused, kind)))
    return undefined;
  return { train, unused, ...(val !== undefined && { val }), ...(test !== undefined && { test }) };
}

/** Images of trains: they lie in the folder itself, or beside it lie folders of other classes. */
async function isClassCalledTrain(
  train: string,
  siblings: readonly string[],
  kind: FileKind,
): Promise<boolean> {
  if ((await listFolder(train, kind)).folders.length === 0) return true;
  const trees = await Promise.all(siblings.map((path) => listTree(path, kind)));
  return trees.some(({ files }) => files.length > 0);
}

function checkClasses(
  directory: string,
  folder: Listing,
  classes: readonly Listing[],
  kind: FileKind,
): readonly string[] {
  const names = classes.map(({ path }) => basename(path));
  const { path, files } = folder;
  if ([folder, ...classes].every((listing) => listing.files.length === 0)) {
    const others = [folder, ...classes].flatMap((listing) => listing.others);
    refuseOtherKind(path, others, kind);
  }
  if (names.length === 0) {
    if (files.length === 0) {
      throw new DataError(
        `${directory}: no ${kind.many}. Expected ${path}/<class>/${kind.pattern} with two classes or more.`,
        "data-no-classes",
      );
    }
    const some = files.slice(0, 3).join(", ");
    const have = `${files.length} ${files.length === 1 ? kind.one : kind.many}`;
    throw new DataError(
      `${path} has ${have} but no class folders. Expected ${path}/<class>/${kind.pattern}. Found: ${some}${files.length > 3 ? ", …" : ""}`,
      "data-no-classes",
    );
  }
  if (names.length === 1) {
    throw new DataError(
      `${path}: Only one class folder (${names[0]}). Two or more are needed.`,
      "data-one-class",
    );
  }
  const empty = classes.filter((listing) => listing.files.length === 0);
  if (empty.length === 0) return names;
  const listed = empty.map((each) => `${each.path} (${each.others.length} other files)`).join(", ");
  throw new DataError(
    `${path}: class folders without ${kind.many}: ${listed}. Add ${kind.many} or remove the folders.`,
    "data-empty-class",
  );
}

/** @throws {DataError} where there is nothing but files of another kind. */
function refuseOtherKind(path: string, others: readonly string[], kind: FileKind): void {
  const found = Object.values(fileKinds).find((other) => others.some((file) => other.matches(file)));
  if (!found) return;
  const count = others.filter((file) => found.matches(file)).length;
  throw new DataError(
    `${path}: expected ${kind.many}, ${path}/<class>/${kind.pattern}, got ${count} ${count === 1 ? found.one : found.many}. Pass a folder of ${kind.many}, or a model that takes ${found.many}.`,
    "data-other-kind",
  );
}

async function listSplit(
  directory: string,
  split: Split,
  classNames: readonly string[],
  kind: FileKind,
): Promise<{ samples: readonly FileSample[]; ignored: readonly string[] }> {
  const folder = await listFolder(directory, kind);
  const classes = await Promise.all(folder.folders.map((path) => listTree(path, kind)));
  const ignored = [...folder.files, ...folder.others, ...classes.flatMap(({ others }) => others)];
  const samples = classes.flatMap(({ path, files }) => {
    const name = basename(path);
    const label = classNames.indexOf(name);
    if (label < 0 && files.length > 0) {
      throw new DataError(
        `${directory}: ${split} has class "${name}" that train lacks. Classes: ${classNames.join(", ")}.`,
        "data-extra-class",
      );
    }
    return files.map((file) => ({ path: file, label, split }));
  });
  // Competitions ship a test folder without labels.
  if (split === "test" && samples.length === 0) return { samples, ignored };
  if (samples.length === 0) {
    throw new DataError(
      `${directory}: no ${kind.many}. Expected ${directory}/<class>/${kind.pattern}, or no such folder.`,
      "data-empty-split",
    );
  }
  return { samples, ignored };
}

async function holdOut(
  samples: readonly FileSample[],
  classCount: number,
  fraction: number,
  hashFile: (path: string) => Promise<string>,
): Promise<readonly FileSample[]> {
  const hashes = await trainHashes(samples, hashFile);
  const held = new Set<number>();
  for (let label = 0; label < classCount; label++) {
    const members = [...hashes.keys()].filter((index) => samples[index]!.label === label);
    const chosen = heldOutByHash(
      members.map((index) => hashes.get(index)!),
      fraction,
    );
    for (const position of chosen) held.add(members[position]!);
  }
  return samples.map((sample, index) => (held.has(index) ? { ...sample, split: "val" } : sample));
}

/** By sample index. An image that cannot be read has none: it stays where it is, to be counted when it is decoded. */
async function trainHashes(
  samples: readonly FileSample[],
  hashFile: (path: string) => Promise<string>,
): Promise<ReadonlyMap<number, string>> {
  const hashes = new Map<number, string>();
  const train = [...samples.keys()].filter((index) => samples[index]!.split === "train");
  for (let from = 0; from < train.length; from += hashesAtOnce) {
    await Promise.all(
      train.slice(from, from + hashesAtOnce).map(async (index) => {
        const hash = await hashFile(samples[index]!.path).catch(() => undefined);
        if (hash !== undefined) hashes.set(index, hash);
      }),
    );
  }
  return hashes;
}

const hashesAtOnce = 32;
