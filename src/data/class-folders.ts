import { basename, dirname, extname } from "node:path";
import { DataError } from "../errors.ts";
import { nearestNames } from "../freeze/suggestions.ts";
import type { FileDataset, FileSample, ImageDataset, Split, TextDataset } from "./dataset.ts";
import { contentHash, type HashFile } from "./file-bytes.ts";
import type { FileKind } from "./file-kind.ts";
import { fileKinds, imageFiles, textFiles } from "./file-kind.ts";
import { byCodePoint, type Lister, type Listing, listerOf } from "./file-listing.ts";
import { type ClassFolder, type DataLayout, findLayout } from "./split-folders.ts";
import { holdOut } from "./splits.ts";

export interface ClassFolderOptions {
  /** Share of each class that is held out where there is no val folder; 0.2 by default, 0 for none. */
  readonly validationFraction?: number | undefined;
  /** Returns the sha256 of a file's bytes; an index of known files can spare reading them. */
  readonly hashFile?: HashFile | undefined;
  /** True if the samples are only evaluated: no train split and one class are enough, and classes are those of all splits. */
  readonly forEvaluation?: boolean | undefined;
}

export interface ClassFolders extends FileDataset {
  readonly directory: string;
  /** The origin of the val samples. */
  readonly validation: "folder" | "content-hash" | "none";
  /** Hidden files, files of other kinds, and files outside the class folders. */
  readonly ignored: readonly string[];
}

export type ImageFolder = ClassFolders & ImageDataset;
export type TextFolder = ClassFolders & TextDataset;

/**
 * Lists the labelled images of a folder of class folders, or of train, val and test folders with class folders each. Decodes
 * nothing.
 *
 * Classes are train's folders in code-point order, as in `keras.utils.image_dataset_from_directory`; as there, class folders are
 * walked in depth, and links to folders inside them are not followed. Split folders are known by the names that datasets give them
 * (`training_set`, `seg_test`, `Validation`, …). Hidden files are ignored.
 *
 * @throws {DataError} if the folder is laid out otherwise.
 *
 * @example
 * const { classNames, samples } = await imageFolder("photos/");
 * console.log(classNames, samples.length);
 */
export async function imageFolder(directory: string, options: ClassFolderOptions = {}): Promise<ImageFolder> {
  return { ...(await classFolders(directory, imageFiles, options)), kind: "images" };
}

/**
 * Lists the labelled texts of a folder that is laid out as for `imageFolder`. Each `.txt` file is one text, as in
 * `keras.utils.text_dataset_from_directory`. Reads nothing.
 *
 * @throws {DataError} if the folder is laid out otherwise.
 *
 * @example
 * const { checkpoint } = await finetune({ model: "reviews.keras", data: await textFolder("texts/") });
 */
export async function textFolder(directory: string, options: ClassFolderOptions = {}): Promise<TextFolder> {
  return { ...(await classFolders(directory, textFiles, options)), kind: "texts" };
}

async function classFolders(
  directory: string,
  kind: FileKind,
  options: ClassFolderOptions,
): Promise<Omit<ClassFolders, "kind">> {
  const lister = listerOf(kind);
  const layout = await findLayout(directory, lister);
  const { folders, loose } = layout;
  const { forEvaluation = false } = options;
  if (layout.classes.train === undefined && !forEvaluation) throw noTrainError(layout, kind);
  const classes = {
    train: await listClasses(layout.classes.train, lister),
    val: await listClasses(layout.classes.val, lister),
    test: await listClasses(layout.classes.test, lister),
  };
  if (classes.train) checkClasses(directory, folders.train, classes.train, kind, forEvaluation);
  const every = [classes.train, classes.val, classes.test].flatMap((listed) => listed ?? []);
  const naming = forEvaluation ? every : (classes.train ?? []);
  const classNames = [...new Set(naming.map(({ name }) => name))].sort(byCodePoint);
  const samples: FileSample[] = [];
  for (const split of ["train", "val", "test"] as const) {
    const listed = classes[split];
    if (!listed) continue;
    const found = splitSamples(listed, split, classNames);
    // Competitions ship a test folder without labels.
    if (found.length === 0 && split === "val") throw emptySplitError(folders.val?.path ?? directory, kind);
    for (const sample of found) samples.push(sample);
  }
  const trees = every.map(({ tree }) => tree);
  const ignored = [
    loose.files,
    loose.others,
    loose.hidden,
    ...trees.flatMap(({ others, hidden }) => [others, hidden]),
  ];
  const remarks = layout.root === directory ? [] : [`${directory}: the data lies in ${layout.root}`];
  const facts = {
    ...{ directory, classNames, ignored: ignored.flat() },
    ...(remarks.length > 0 && { remarks }),
  };
  const fraction = options.validationFraction ?? (forEvaluation ? 0 : 0.2);
  if (classes.val !== undefined) return { ...facts, samples, validation: "folder" };
  if (fraction === 0) return { ...facts, samples, validation: "none" };
  return {
    ...facts,
    samples: await holdOut(samples, fraction, options.hashFile ?? contentHash),
    validation: "content-hash",
  };
}

interface ListedClass {
  readonly name: string;
  readonly tree: Listing;
}

async function listClasses(
  folders: readonly ClassFolder[] | undefined,
  lister: Lister,
): Promise<readonly ListedClass[] | undefined> {
  return (
    folders && Promise.all(folders.map(async ({ name, path }) => ({ name, tree: await lister.tree(path) })))
  );
}

function splitSamples(
  listed: readonly ListedClass[],
  split: Split,
  classNames: readonly string[],
): readonly FileSample[] {
  // Names that one system composed and another decomposed (é as one character or two) are the same.
  const labels = new Map(classNames.map((name, label) => [name.normalize("NFC"), label]));
  return listed.flatMap(({ name, tree }) => {
    const label = labels.get(name.normalize("NFC"));
    if (label === undefined) {
      if (tree.files.length === 0) return [];
      const near = nearestNames(name, classNames, 1);
      const hint = near.length > 0 ? ` Did you mean ${near[0]}?` : "";
      throw new DataError(
        `${dirname(tree.path)}: ${split} has class "${name}" that train lacks.${hint} Classes: ${classNames.join(", ")}.`,
        "data-extra-class",
      );
    }
    return tree.files.map((path) => ({ path, label, split }));
  });
}

function noTrainError({ root, folders }: DataLayout, kind: FileKind): DataError {
  const names = Object.values(folders).map(({ path }) => basename(path));
  return new DataError(
    `${root}: has ${names.join(" and ")} but no train folder. Expected ${root}/train/<class>/${kind.pattern}.`,
    "data-no-train",
  );
}

function emptySplitError(path: string, kind: FileKind): DataError {
  return new DataError(
    `${path}: no ${kind.many}. Expected ${path}/<class>/${kind.pattern}, or no such folder.`,
    "data-empty-split",
  );
}

function checkClasses(
  directory: string,
  folder: Listing | undefined,
  classes: readonly ListedClass[],
  kind: FileKind,
  forEvaluation: boolean,
): void {
  const { path, files, others } = folder ?? { path: directory, files: [], others: [] };
  const [first] = classes;
  if (files.length === 0 && classes.every(({ tree }) => tree.files.length === 0)) {
    refuseOtherKind(path, [...others, ...classes.flatMap(({ tree }) => tree.others)], kind);
  }
  if (first === undefined)
    throw files.length === 0 ? emptyError(directory, path, kind) : flatError(path, files, others, kind);
  if (forEvaluation) return;
  if (classes.length === 1) {
    throw new DataError(
      `${path}: Only one class folder (${first.name}). Two or more are needed.`,
      "data-one-class",
    );
  }
  const empty = classes.filter(({ tree }) => tree.files.length === 0);
  if (empty.length === 0) return;
  const listed = empty.map(({ tree }) => `${tree.path} (${tree.others.length} other files)`).join(", ");
  throw new DataError(
    `${path}: class folders without ${kind.many}: ${listed}. Add ${kind.many} or remove the folders.`,
    "data-empty-class",
  );
}

function emptyError(directory: string, path: string, kind: FileKind): DataError {
  return new DataError(
    `${directory}: no ${kind.many}. Expected ${path}/<class>/${kind.pattern} with two classes or more.`,
    "data-no-classes",
  );
}

function flatError(
  path: string,
  files: readonly string[],
  others: readonly string[],
  kind: FileKind,
): DataError {
  const some = files.slice(0, 3).join(", ");
  const have = `${files.length} ${files.length === 1 ? kind.one : kind.many}`;
  const found = `${path} has ${have} but no class folders. Expected ${path}/<class>/${kind.pattern}. Found: ${some}${files.length > 3 ? ", …" : ""}`;
  const table = others.find((file) => /\.(csv|tsv|jsonl)$/i.test(file));
  if (table !== undefined)
    return new DataError(`${found}. If ${table} has the labels, pass it as the data.`, "data-no-classes");
  const names = classesInNames(files);
  if (names.length === 0) return new DataError(found, "data-no-classes");
  const folders = names.slice(0, 3).map((name) => `${path}/${name}/`);
  return new DataError(
    `${found}. The names begin with ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}: move each class into a folder of its own (${folders.join(", ")}), or list the files in a table with the columns file_name and label and pass that as the data.`,
    "data-no-classes",
  );
}

/**
 * Returns the classes that the names of files in one folder seem to tell, `cat` and `dog` for `cat.0.jpg` and `dog.12.jpg`; none
 * where the names do not have that form.
 */
export function classesInNames(files: readonly string[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const file of files) {
    const stem = basename(file, extname(file));
    const name = /^(\p{L}[\p{L} _-]*?)[ ._-]*\(?\d+\)?$/u.exec(stem)?.[1];
    if (name === undefined) return [];
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts.size > 1 && counts.size * 2 <= files.length ? [...counts.keys()].sort() : [];
}

/** @throws {DataError} if there is nothing but files of another kind. */
function refuseOtherKind(path: string, others: readonly string[], kind: FileKind): void {
  const found = Object.values(fileKinds).find((other) => others.some((file) => other.matches(file)));
  if (!found) return;
  const count = others.filter((file) => found.matches(file)).length;
  throw new DataError(
    `${path}: expected ${kind.many}, ${path}/<class>/${kind.pattern}, got ${count} ${count === 1 ? found.one : found.many}. Pass a folder of ${kind.many}, or a model that takes ${found.many}.`,
    "data-other-kind",
  );
}
