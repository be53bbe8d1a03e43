import { basename } from "node:path";
import { DataError } from "../errors.ts";
import { contentHash } from "./content-hash.ts";
import type { ImageDataset, ImageSample, Split } from "./dataset.ts";
import { type Listing, listFolder, listTree } from "./picture-listing.ts";
import { heldOutByHash } from "./split.ts";

export interface ImageFolderOptions {
  /** Share of each class held out where there is no val folder; 0.2 by default, 0 for none. */
  readonly validationFraction?: number;
  /** The sha256 of a file's bytes; an index of known files can spare reading them. */
  readonly hashFile?: (path: string) => Promise<string>;
}

export interface ImageFolder extends ImageDataset {
  readonly directory: string;
  /** Where the val samples come from. */
  readonly validation: "folder" | "content-hash" | "none";
  /** Files that are no pictures by their names, and pictures outside the class folders. */
  readonly ignored: readonly string[];
}

/**
 * The labelled pictures of a folder of class folders, or of `train/`, `val/` and `test/` with class folders each. Decodes nothing.
 * Classes are train's folders in code-point order, as in `keras.utils.image_dataset_from_directory`; as there, class folders are
 * walked in depth, and links to folders inside them are not followed. Hidden files are left out.
 *
 * @throws {DataError} if the folder is not laid out so.
 */
export async function imageFolder(directory: string, options: ImageFolderOptions = {}): Promise<ImageFolder> {
  const root = await listFolder(directory);
  const splits = await splitFolders(root);
  const trainFolder = splits ? await listFolder(splits.train) : root;
  const train = await Promise.all(trainFolder.folders.map((path) => listTree(path)));
  const classNames = checkClasses(directory, trainFolder, train);

  const ignored = splits ? [...root.pictures, ...root.others, ...splits.unused] : [];
  const samples: ImageSample[] = train.flatMap(({ pictures }, label) =>
    pictures.map((path) => ({ path, label, split: "train" })),
  );
  ignored.push(...trainFolder.pictures, ...trainFolder.others, ...train.flatMap(({ others }) => others));
  for (const split of ["val", "test"] as const) {
    const path = splits?.[split];
    if (path === undefined) continue;
    const listed = await listSplit(path, split, classNames);
    samples.push(...listed.samples);
    ignored.push(...listed.ignored);
  }
  const fraction = options.validationFraction ?? 0.2;
  const facts = { kind: "images", directory, classNames, ignored } as const;
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
async function splitFolders(root: Listing): Promise<SplitFolders | undefined> {
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
      `${root.path}: has ${names} but no train folder. Expected ${root.path}/train/<class>/*.jpg.`,
      "data-no-train",
    );
  }
  if (val === undefined && test === undefined && (await isClassCalledTrain(train, unused))) return undefined;
  return { train, unused, ...(val !== undefined && { val }), ...(test !== undefined && { test }) };
}

/** Pictures of trains: they lie in the folder itself, or beside it lie folders of other classes. */
async function isClassCalledTrain(train: string, siblings: readonly string[]): Promise<boolean> {
  if ((await listFolder(train)).folders.length === 0) return true;
  const trees = await Promise.all(siblings.map((path) => listTree(path)));
  return trees.some(({ pictures }) => pictures.length > 0);
}

function checkClasses(directory: string, folder: Listing, classes: readonly Listing[]): readonly string[] {
  const names = classes.map(({ path }) => basename(path));
  if (names.length === 0) {
    const { path, pictures } = folder;
    if (pictures.length === 0) {
      throw new DataError(
        `${directory}: no pictures. Expected ${path}/<class>/*.jpg with two classes or more.`,
        "data-no-classes",
      );
    }
    const some = pictures.slice(0, 3).join(", ");
    const have = `${pictures.length} image${pictures.length === 1 ? "" : "s"}`;
    throw new DataError(
      `${path} has ${have} but no class folders. Expected ${path}/<class>/*.jpg. Found: ${some}${pictures.length > 3 ? ", …" : ""}`,
      "data-no-classes",
    );
  }
  if (names.length === 1) {
    throw new DataError(
      `${folder.path}: Only one class folder (${names[0]}). Two or more are needed.`,
      "data-one-class",
    );
  }
  const empty = classes.filter(({ pictures }) => pictures.length === 0);
  if (empty.length === 0) return names;
  const listed = empty.map(({ path, others }) => `${path} (${others.length} other files)`).join(", ");
  throw new DataError(
    `${folder.path}: class folders without pictures: ${listed}. Add pictures or remove the folders.`,
    "data-empty-class",
  );
}

async function listSplit(
  directory: string,
  split: Split,
  classNames: readonly string[],
): Promise<{ samples: readonly ImageSample[]; ignored: readonly string[] }> {
  const folder = await listFolder(directory);
  const classes = await Promise.all(folder.folders.map((path) => listTree(path)));
  const ignored = [...folder.pictures, ...folder.others, ...classes.flatMap(({ others }) => others)];
  const samples = classes.flatMap(({ path, pictures }) => {
    const name = basename(path);
    const label = classNames.indexOf(name);
    if (label < 0 && pictures.length > 0) {
      throw new DataError(
        `${directory}: ${split} has class "${name}" that train lacks. Classes: ${classNames.join(", ")}.`,
        "data-extra-class",
      );
    }
    return pictures.map((picture) => ({ path: picture, label, split }));
  });
  // Competitions ship a test folder without labels.
  if (split === "test" && samples.length === 0) return { samples, ignored };
  if (samples.length === 0) {
    throw new DataError(
      `${directory}: no pictures. Expected ${directory}/<class>/*.jpg, or no such folder.`,
      "data-empty-split",
    );
  }
  return { samples, ignored };
}

async function holdOut(
  samples: readonly ImageSample[],
  classCount: number,
  fraction: number,
  hashFile: (path: string) => Promise<string>,
): Promise<readonly ImageSample[]> {
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

/** By sample index. A picture that cannot be read has none: it stays where it is, to be counted when it is decoded. */
async function trainHashes(
  samples: readonly ImageSample[],
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
