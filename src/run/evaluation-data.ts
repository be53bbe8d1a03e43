import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Checkpoint } from "../checkpoint.ts";
import type { Split, StoredDataset } from "../data/dataset.ts";
import type { DataOptions } from "../data/model-files.ts";
import { openData } from "../data/model-files.ts";
import type { PathDataOptions } from "./data-options.ts";
import { dataOptionNames } from "./data-options.ts";

export interface EvaluationData {
  readonly dataset: StoredDataset;
  readonly split: Split | "all";
}

/**
 * Opens data to evaluate a model on, and decides the split: the one that is asked for; else val where there is one; else what the run
 * that trained the model held out of the same data; else all samples.
 *
 * @param model Path of the model as it was given; a run folder remembers its data.
 * @throws {DataError} if the data is not laid out as for training, apart from splits, which need no train here.
 */
export async function openEvaluationData(
  checkpoint: Checkpoint,
  model: string,
  path: string,
  { split, ...flags }: PathDataOptions & { readonly split?: Split | "all" | undefined },
): Promise<EvaluationData> {
  const earlier = await runOn(model, path);
  const { valFraction, ...columns } = { ...earlier, ...flags };
  const options: DataOptions = { ...columns, forEvaluation: true };
  const dataset = await openData(checkpoint, path, options);
  if (holds(dataset, "val") || earlier === undefined) {
    return { dataset, split: split ?? (holds(dataset, "val") ? "val" : "all") };
  }
  const heldOut = await openData(checkpoint, path, { ...columns, validationFraction: valFraction });
  return { dataset: heldOut, split: split ?? (holds(heldOut, "val") ? "val" : "all") };
}

function holds(dataset: StoredDataset, split: Split): boolean {
  if (dataset.kind !== "arrays") return dataset.samples.some((sample) => sample.split === split);
  return split === "val" ? dataset.validation !== undefined : split === "test" && dataset.test !== undefined;
}

/** Returns how the run in a folder read its data, undefined if the folder is no run or the run's data was another. */
async function runOn(folder: string, data: string): Promise<PathDataOptions | undefined> {
  const text = await readFile(join(folder, "args.json"), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const args = parsed(text);
  if (typeof args["data"] !== "string" || resolve(args["data"]) !== resolve(data)) return undefined;
  return Object.fromEntries(
    dataOptionNames.flatMap((name) =>
      args[name] === null || args[name] === undefined ? [] : [[name, args[name]]],
    ),
  );
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
  } catch {
    return {};
  }
}
