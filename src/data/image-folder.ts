import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { UsageError } from "../errors.ts";
import type { ImageDataset, ImageSample, Split } from "./dataset.ts";

const extensions = new Set([".jpg", ".jpeg", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"]);
const splits: readonly Split[] = ["train", "val", "test"];

/**
 * The labelled pictures of a folder of class folders, or of `train/`, `val/` and `test/` each with class folders. Nothing is
 * decoded. Without `val/` a fifth of each class is held out by content, at least one picture.
 * @throws {UsageError} where there is no such folder, fewer than two classes, or a class that `train/` lacks.
 */
export async function imageFolder(directory: string): Promise<ImageDataset> {
  const found = await stat(directory).catch(() => null);
  if (!found?.isDirectory()) {
    throw new UsageError(
      `${directory}: expected a folder of pictures, got ${found ? "a file" : "nothing there"}.`,
      "data-missing",
    );
  }
  const names = await folderNames(directory);
  const present = splits.filter((split) => names.includes(split));
  const dataset = present.includes("train")
    ? await splitFolders(directory, present)
    : await oneFolder(directory, names);
  for (const [label, name] of dataset.classNames.entries()) {
    if (!dataset.samples.some((sample) => sample.label === label && sample.split === "train")) {
      throw new UsageError(
        `${directory}: class "${name}": expected pictures to train on, got none.`,
        "data-empty-class",
      );
    }
  }
  return dataset;
}

async function splitFolders(directory: string, present: readonly Split[]): Promise<ImageDataset> {
  const classNames = await folderNames(join(directory, "train"));
  requireClasses(join(directory, "train"), classNames);
  const samples: ImageSample[] = [];
  for (const split of present) {
    for (const name of await folderNames(join(directory, split))) {
      const label = classNames.indexOf(name);
      if (label < 0)
        throw new UsageError(`${split} has class "${name}" that train lacks.`, "data-extra-class");
      for (const path of await pictures(join(directory, split, name))) samples.push({ path, label, split });
    }
  }
  if (samples.some((sample) => sample.split === "val")) return { kind: "images", classNames, samples };
  return { kind: "images", classNames, samples: await holdOut(samples) };
}

async function oneFolder(directory: string, classNames: readonly string[]): Promise<ImageDataset> {
  if (classNames.length === 0) {
    const loose = await pictures(directory);
    const found = loose.length > 0 ? ` Found: ${loose[0]} …` : "";
    throw new UsageError(
      `${directory} has ${loose.length} images but no class folders. Expected ${join(directory, "<class>")}/*.jpg.${found}`,
      "data-no-classes",
    );
  }
  requireClasses(directory, classNames);
  const samples: ImageSample[] = [];
  for (const [label, name] of classNames.entries()) {
    for (const path of await pictures(join(directory, name))) samples.push({ path, label, split: "train" });
  }
  return { kind: "images", classNames, samples: await holdOut(samples) };
}

function requireClasses(directory: string, classNames: readonly string[]): void {
  if (classNames.length === 1) {
    throw new UsageError(
      `Only one class folder (${classNames[0]}). Two or more are needed.`,
      "data-one-class",
    );
  }
  if (classNames.length === 0) {
    throw new UsageError(
      `${directory} has no class folders. Expected ${join(directory, "<class>")}/*.jpg.`,
      "data-no-classes",
    );
  }
}

/** A fifth of each class, the lowest content hashes, at least one and never all. */
async function holdOut(samples: readonly ImageSample[]): Promise<ImageSample[]> {
  const hashed = await Promise.all(
    samples.map(async (sample) => ({
      sample,
      hash: createHash("sha256")
        .update(await readFile(sample.path))
        .digest("hex"),
    })),
  );
  const held = new Set<ImageSample>();
  for (const label of new Set(samples.map((sample) => sample.label))) {
    const own = hashed
      .filter(({ sample }) => sample.label === label && sample.split === "train")
      .sort((a, b) => (a.hash < b.hash ? -1 : 1));
    const count = Math.min(Math.max(1, Math.round(own.length / 5)), own.length - 1);
    for (const { sample } of own.slice(0, Math.max(0, count))) held.add(sample);
  }
  return samples.map((sample) => (held.has(sample) ? { ...sample, split: "val" } : sample));
}

async function folderNames(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  return names.map((entry) => entry.name).sort((a, b) => (a < b ? -1 : 1));
}

async function pictures(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  return entries
    .filter(
      (entry) =>
        entry.isFile() && !entry.name.startsWith(".") && extensions.has(extname(entry.name).toLowerCase()),
    )
    .map((entry) => join(entry.parentPath, entry.name))
    .sort((a, b) => (a < b ? -1 : 1));
}
