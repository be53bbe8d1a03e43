/** @file Losses of samples that end a run, where single files that cannot be used only are left out. */
import { opendirSync } from "node:fs";
import { dirname } from "node:path";
import type { FileDataset, FileSample } from "../data/dataset.ts";
import { labelOf } from "../data/dataset.ts";
import { fileKinds } from "../data/file-kind.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { DataError, MachineError } from "../errors.ts";

/** Returns the error for a class of which no file can be used: nothing would be learned of it. */
export function lostClass(
  { classNames, kind }: FileDataset,
  samples: readonly FileSample[],
  usable: readonly number[],
  bad: readonly BadFile[],
): DataError | undefined {
  const learned = new Set(usable.map((index) => labelOf(samples[index]!)));
  const lost = samples.find((sample) => !learned.has(labelOf(sample)));
  if (lost === undefined) return undefined;
  const { length } = samples.filter(({ label }) => label === lost.label);
  const first = bad.find(({ path }) => path === lost.path);
  return new DataError(
    `class ${classNames[labelOf(lost)]}: expected ${fileKinds[kind].many} to train on, got ${length} that cannot be ${kind === "images" ? "decoded" : "read"}. The first is ${lost.path}: ${first?.reason ?? "cannot be read."}`,
    "all-bad",
  );
}

/**
 * Returns the error for a folder that was listed and went away while its files were read, as one on a network does: a run would go on
 * with the part that was read before. A table may name files that were never there.
 */
export function lostFolder(dataset: FileDataset, bad: readonly BadFile[]): MachineError | undefined {
  if (!("directory" in dataset)) return undefined;
  const unread = bad.filter(({ reason }) => /^(?:no such file|cannot be read \(\w+\))\.$/.test(reason));
  const gone = [...new Set(unread.map(({ path }) => dirname(path)))].find((folder) => !isListed(folder));
  if (gone === undefined) return undefined;
  return new MachineError(
    `${gone}: expected the folder that was listed, got none: it went away while its files were read. Run again once it is back: what was extracted is cached.`,
    "data-gone",
  );
}

function isListed(folder: string): boolean {
  try {
    opendirSync(folder).closeSync();
    return true;
  } catch {
    return false;
  }
}
