import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { arrayItems, takeSamples } from "./data/arrays.ts";
import type { ArrayDataset, FileDataset, StoredDataset } from "./data/dataset.ts";
import { storedDataset } from "./data/dataset.ts";
import { contentHash } from "./data/file-bytes.ts";
import { openData } from "./data/model-files.ts";
import { fileFolds, foldsOf, withFold } from "./data/splits.ts";
import { DataError, UsageError } from "./errors.ts";
import { finetune } from "./finetune.ts";
import { readCheckpoint } from "./formats/checkpoint-file.ts";
import { makeFolder } from "./formats/make-folder.ts";
import { optionError, optionName } from "./options.ts";
import { dataOptions } from "./run/data-options.ts";
import { modelFileAt } from "./run/folder.ts";
import type { FinetuneOptions, FinetuneResult } from "./run/options.ts";
import { resolveOptions } from "./run/settings.ts";

export interface CrossValidationOptions extends FinetuneOptions {
  /** Number of folds, 2 or more; each is held out once. */
  readonly folds: number;
  /** Called before each fold, counted from 1. */
  readonly onFold?: ((fold: number, folds: number) => void) | undefined;
}

/** A figure over all folds. */
export interface Spread {
  readonly mean: number;
  /** Sample standard deviation. */
  readonly std: number;
}

export interface CrossValidation {
  /** The result of each fold, in order. */
  readonly folds: readonly FinetuneResult[];
  /** Every figure on held-out samples, of each fold's best epoch: `val_loss`, `val_accuracy`, … */
  readonly figures: Readonly<Record<string, Spread>>;
}

/**
 * Trains a model once per fold: each time one fold is held out and the others are trained on. Folds have about equally many samples of
 * each class, and keep groups and copies together; the same data gives the same folds. Samples of test stay out of all folds.
 *
 * Features of files are extracted once and kept for all folds, in a temporary folder where `cache` is false. With `out`, each fold is
 * a run folder in it, `<out>/1`, `<out>/2`, …, and `folds.json` has the figures.
 *
 * @throws {UsageError | DataError} for a number of folds that the data does not have, and as `finetune`.
 *
 * @example
 * const { figures } = await crossValidate({ model: "resnet50.h5", data: "photos", folds: 5 });
 */
export async function crossValidate(options: CrossValidationOptions): Promise<CrossValidation> {
  const { folds: count, onFold, ...given } = options;
  if (!Number.isInteger(count) || count < 2) throw optionError("folds", "a whole number of 2 or more", count);
  if (given.out !== undefined && given.overwrite !== true) await requireEmpty(given.out);
  const dataset = await openWhole(given);
  const split = dataset.kind === "arrays" ? arrayFolds(dataset, count) : await fileFoldsOf(dataset, count);
  const temporary =
    given.cache === false ? await mkdtemp(join(tmpdir(), "keras-finetune-folds-")) : undefined;
  const results: FinetuneResult[] = [];
  try {
    for (let fold = 0; fold < count; fold++) {
      onFold?.(fold + 1, count);
      const result = await finetune({
        ...given,
        data: split(fold),
        ...(temporary !== undefined && { cache: temporary }),
        ...(given.out !== undefined && { out: join(given.out, String(fold + 1)) }),
      });
      results.push(result);
    }
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
  const figures = spreadOf(results);
  if (given.out !== undefined) {
    const text = JSON.stringify({ folds: results.map(foldFigures), figures }, null, 2);
    await writeFile(join(given.out, "folds.json"), `${text}\n`);
  }
  return { folds: results, figures };
}

async function requireEmpty(out: string): Promise<void> {
  makeFolder(out);
  if ((await readdir(out)).length === 0) return;
  throw new UsageError(
    `${optionName("out")}: expected a new or empty folder for the folds, got ${out}, which has files. Name another one, or set ${optionName("overwrite")}.`,
    "out-exists",
    "out",
  );
}

/** Opens the data with nothing held out. */
async function openWhole(options: FinetuneOptions): Promise<StoredDataset> {
  const settings = resolveOptions(options);
  if (typeof settings.data !== "string") return storedDataset(settings.data);
  const checkpoint =
    typeof settings.model === "string"
      ? await readCheckpoint(modelFileAt(settings.model), {
          weights: false,
          ...(settings.arch !== null && { arch: settings.arch }),
        })
      : settings.model;
  return openData(checkpoint, settings.data, { ...dataOptions(settings), validationFraction: 0 });
}

async function fileFoldsOf(dataset: FileDataset, count: number): Promise<(fold: number) => FileDataset> {
  const folds = await fileFolds(dataset.samples, count, contentHash);
  return (fold) => withFold(dataset, folds, fold);
}

function arrayFolds(dataset: ArrayDataset, count: number): (fold: number) => ArrayDataset {
  if (dataset.validation) {
    throw new DataError(
      "folds: expected arrays without validation samples, got some. Pass all samples as one.",
      "folds",
    );
  }
  const folds = foldsOf(arrayItems(dataset), count);
  const rows = [...folds.keys()];
  return (fold) => ({
    ...dataset,
    ...takeSamples(
      dataset,
      rows.filter((row) => folds[row] !== fold),
    ),
    validation: takeSamples(
      dataset,
      rows.filter((row) => folds[row] === fold),
    ),
  });
}

/** Returns the figures of a fold's best epoch on its held-out samples. */
function foldFigures({ history, bestEpoch }: FinetuneResult): Readonly<Record<string, number>> {
  const best = history.find(({ epoch }) => epoch === bestEpoch) ?? {};
  return Object.fromEntries(
    Object.entries(best).filter(
      (entry): entry is [string, number] => entry[0].startsWith("val_") && typeof entry[1] === "number",
    ),
  );
}

function spreadOf(results: readonly FinetuneResult[]): Readonly<Record<string, Spread>> {
  const figures = results.map(foldFigures);
  const names = Object.keys(figures[0] ?? {});
  return Object.fromEntries(
    names.map((name) => {
      const values = figures.map((each) => each[name] ?? Number.NaN);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
      return [name, { mean, std: Math.sqrt(squares / (values.length - 1)) }];
    }),
  );
}
