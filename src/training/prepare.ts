import { statSync } from "node:fs";
import { join } from "node:path";
import type { Checkpoint } from "../checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import { imageFolder } from "../data/image-folder.ts";
import { UsageError } from "../errors.ts";
import { readCheckpoint } from "../formats/checkpoint-file.ts";

/** The checkpoint at `model`: a file, a run folder with `model.keras` in it, or the value itself. */
export async function openModel(model: string | Checkpoint, arch?: string): Promise<Checkpoint> {
  if (typeof model !== "string") return model;
  return readCheckpoint(modelFile(model), { ...(arch !== undefined && { arch }) });
}

/** The dataset at `data`: a folder of class folders, or the value itself. */
export async function openData(data: string | Dataset, strict: boolean): Promise<Dataset> {
  return typeof data === "string" ? imageFolder(data, { strict }) : data;
}

function modelFile(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) {
    throw new UsageError(`${path}: expected a model file or a run folder, got nothing there.`, "model-missing");
  }
  if (!found.isDirectory()) return path;
  const inside = ["model.keras", "model.h5"].map((name) => join(path, name));
  return inside.find((file) => statSync(file, { throwIfNoEntry: false })?.isFile()) ?? path;
}

/** Positive integers only. @throws {UsageError} */
export function requirePositiveInteger(option: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new UsageError(`${option}: expected a whole number of 1 or more, got ${value}.`, "option-value");
  }
  return value;
}
