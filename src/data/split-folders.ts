import { basename } from "node:path";
import { DataError } from "../errors.ts";
import type { Split } from "./dataset.ts";
import { type Lister, type Listing, leadsBack } from "./file-listing.ts";
import { splitNameOf } from "./split-names.ts";

/** Places of the class folders in a data folder. */
export interface DataLayout {
  /** The folder that holds the splits or the classes: the given one, or the one nested in it. */
  readonly root: string;
  /** True if the splits are folders; without them every class folder is one of `train`. */
  readonly hasSplits: boolean;
  /** The class folders of each split with their names, in code-point order of the names. */
  readonly classes: Readonly<Record<Split, readonly ClassFolder[] | undefined>>;
  /** Entries beside the class folders, which are no part of the data. */
  readonly loose: Pick<Listing, "files" | "others" | "hidden">;
  /** The folder of each split, for messages. */
  readonly folders: Readonly<Partial<Record<Split, Listing>>>;
}

export interface ClassFolder {
  readonly name: string;
  readonly path: string;
}

/**
 * Finds the splits and the class folders below a directory. One nested folder around all is entered, at the top and inside a split
 * (`seg_train/seg_train`).
 *
 * @throws {DataError} if some folders look like splits and others do not, if two are the same split, or if a folder cannot be listed.
 */
export async function findLayout(directory: string, lister: Lister): Promise<DataLayout> {
  const root = await enterWrappers(await lister.folder(directory), lister);
  const splits = await splitFolders(root, lister);
  if (splits === undefined) return (await splitsInsideClasses(root, lister)) ?? (await onlyClasses(root));
  const loose = [root];
  const folders: Partial<Record<Split, Listing>> = {};
  const classes: Record<Split, readonly ClassFolder[] | undefined> = {
    train: undefined,
    val: undefined,
    test: undefined,
  };
  for (const [split, path] of splits.folders) {
    const folder = await enterSplit(await lister.folder(path), lister);
    folders[split] = folder;
    classes[split] = await classFolders(folder);
    loose.push(folder);
  }
  return {
    root: root.path,
    hasSplits: true,
    classes,
    folders,
    loose: {
      files: loose.flatMap(({ files }) => files),
      others: [...loose.flatMap(({ others }) => others), ...splits.unused],
      hidden: loose.flatMap(({ hidden }) => hidden),
    },
  };
}

async function onlyClasses(root: Listing): Promise<DataLayout> {
  return {
    root: root.path,
    hasSplits: false,
    classes: { train: await classFolders(root), val: undefined, test: undefined },
    folders: { train: root },
    loose: root,
  };
}

/** Returns the folders in a folder, without links that lead back to where they lie. */
async function classFolders({ folders }: Listing): Promise<readonly ClassFolder[]> {
  const loops = await Promise.all(folders.map(leadsBack));
  return folders.filter((_, index) => !loops[index]).map((path) => ({ name: basename(path), path }));
}

const deepestWrapper = 8;

/** Follows folders that hold one folder alone, as far as one that holds several, or a split. */
async function enterWrappers(start: Listing, lister: Lister): Promise<Listing> {
  let at = start;
  for (let depth = 0; depth < deepestWrapper; depth++) {
    const [only, ...more] = at.folders;
    if (only === undefined || more.length > 0 || at.files.length > 0) break;
    if (splitNameOf(basename(only))?.rest === "") return at;
    const inner = await lister.folder(only);
    if (inner.files.length > 0) return start;
    at = inner;
  }
  return at.folders.length > 1 ? at : start;
}

/** Enters a folder that repeats its split's name, or one folder that holds all of a split's classes. */
async function enterSplit(start: Listing, lister: Lister): Promise<Listing> {
  const [only, ...more] = start.folders;
  if (only === undefined || more.length > 0 || start.files.length > 0) return start;
  const inner = await lister.folder(only);
  const repeats = splitNameOf(basename(only))?.split === splitNameOf(basename(start.path))?.split;
  if (repeats && (inner.folders.length > 0 || inner.files.length > 0)) return enterSplit(inner, lister);
  return inner.files.length === 0 && inner.folders.length > 1 ? inner : start;
}

interface SplitFolders {
  readonly folders: ReadonlyMap<Split, string>;
  /** Folders that hold no samples, or samples without labels. */
  readonly unused: readonly string[];
}

/** Returns the split folders, undefined where the folder's own subfolders are the classes. */
async function splitFolders(root: Listing, lister: Lister): Promise<SplitFolders | undefined> {
  const named = root.folders.map((path) => ({ path, name: splitNameOf(basename(path)) }));
  const rests = named.flatMap(({ name }) => (name ? [name.rest] : []));
  const isSplit = ({ name }: (typeof named)[number]) =>
    name !== undefined && (name.rest === "" || rests.filter((rest) => rest === name.rest).length > 1);
  const splits = named.filter(isSplit);
  const others = named.filter((each) => !isSplit(each)).map(({ path }) => path);
  if (splits.length === 0) return undefined;
  const [first] = splits;
  if (splits.length === 1 && others.length > 0 && first && (await isClassCalledTrain(first.path, lister)))
    return undefined;
  const holdSamples = await Promise.all(others.map((path) => hasSamples(path, lister)));
  if (holdSamples.includes(true)) throw mixedError(root.path, splits, others);
  const folders = new Map<Split, string>();
  const unused = [...others];
  for (const { path, name } of splits) {
    if (name === undefined || name.split === "unlabeled") {
      unused.push(path);
      continue;
    }
    const twin = folders.get(name.split);
    if (twin !== undefined) {
      throw new DataError(
        `${root.path}: two ${name.split} folders: ${basename(twin)} and ${basename(path)}. Keep one.`,
        "data-two-splits",
      );
    }
    folders.set(name.split, path);
  }
  return folders.size === 0 ? undefined : { folders: inOrder(folders), unused };
}

function inOrder(folders: ReadonlyMap<Split, string>): ReadonlyMap<Split, string> {
  const splits: readonly Split[] = ["train", "val", "test"];
  return new Map(
    splits.flatMap((split) => {
      const path = folders.get(split);
      return path === undefined ? [] : [[split, path] as const];
    }),
  );
}

/** Returns whether a folder called train holds images of trains: they lie in it directly, where a split has class folders. */
async function isClassCalledTrain(path: string, lister: Lister): Promise<boolean> {
  if (basename(path).toLowerCase() !== "train") return false;
  return (await lister.folder(path)).files.length > 0;
}

async function hasSamples(path: string, lister: Lister): Promise<boolean> {
  return (await lister.tree(path)).files.length > 0;
}

function mixedError(root: string, splits: readonly { path: string }[], others: readonly string[]): DataError {
  const list = (paths: readonly string[]) => {
    const names = paths.slice(0, 10).map((path) => basename(path));
    return paths.length > 10 ? `${names.join(", ")} and ${paths.length - 10} more` : names.join(", ");
  };
  return new DataError(
    `${root}: expected class folders, or split folders with class folders each, got both: ${list(splits.map(({ path }) => path))} look like splits, ${list(others)} do not. Move the others away, or, if all are classes, into ${root}/train/.`,
    "data-mixed-folders",
  );
}

/** Returns the layout where each class folder holds split folders, `cats/train`, undefined where none does. */
async function splitsInsideClasses(root: Listing, lister: Lister): Promise<DataLayout | undefined> {
  const listings = await Promise.all(root.folders.map((path) => lister.folder(path)));
  const inner = listings.map((listing) => ({
    listing,
    splits: listing.folders.map((path) => ({ path, split: splitNameOf(basename(path)) })),
  }));
  const hasTrain = inner.filter(({ splits }) => splits.some(({ split }) => split?.split === "train"));
  if (hasTrain.length === 0 || hasTrain.length < inner.length) return undefined;
  const isClean = ({ listing, splits }: (typeof inner)[number]) =>
    listing.files.length === 0 && splits.every(({ split }) => split?.rest === "");
  const strange = inner.find((each) => !isClean(each));
  if (strange) {
    throw new DataError(
      `${strange.listing.path}: expected train, val and test folders as in the other classes and nothing else, got ${strange.listing.folders.map((path) => basename(path)).join(", ")} and ${strange.listing.files.length} ${lister.kind.many} beside them. Move the others away.`,
      "data-mixed-folders",
    );
  }
  const of = (wanted: Split) => {
    const found = inner.flatMap(({ listing, splits }) =>
      splits
        .filter(({ split }) => split?.split === wanted)
        .map(({ path }) => ({ name: basename(listing.path), path })),
    );
    return found.length > 0 ? found : undefined;
  };
  const others = listings.flatMap((listing) => listing.others);
  const hidden = [...root.hidden, ...listings.flatMap((listing) => listing.hidden)];
  return {
    root: root.path,
    hasSplits: true,
    classes: { train: of("train"), val: of("val"), test: of("test") },
    folders: { train: root },
    loose: { files: root.files, others: [...root.others, ...others], hidden },
  };
}
