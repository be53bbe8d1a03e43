import type { Weights } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { ArrayDataset, Split } from "../data/dataset.ts";
import type { SpooledBatch } from "../data/spooled-batches.ts";
import { isSpooled } from "../data/spooled-batches.ts";
import { localFolderOf } from "../features/cache/cache-directory.ts";
import type { CutModel } from "../features/cut.ts";
import type { WritableRows } from "../features/sample-rows.ts";
import { extractStored } from "../features/stored-features.ts";
import { takeStaticProgram } from "../features/trunk.ts";
import { requireInputs } from "../task/inputs.ts";
import { checkedTargets } from "../task/targets.ts";
import type { Examples } from "../training/example-set.ts";
import { sampleCount } from "../training/example-set.ts";
import { examplesOf } from "../training/examples.ts";
import type { ExampleSource } from "./file-examples.ts";
import { numbered, viewedExamples, weightingOf } from "./phase-examples.ts";
import type { PreparedRun } from "./prepared-run.ts";

/**
 * Opens the batches of a run, whose inputs lie in files: every phase runs them through what it does not train, and keeps the features in
 * files too where they are many.
 */
export function storedExamples(
  run: PreparedRun,
  dataset: ArrayDataset & SpooledBatch,
  weightsAfter: (moved: Weights) => Weights,
): ExampleSource {
  const names = run.graph.inputs.map((input) => input.name);
  const { settings } = run;
  const views = run.augmentation?.views ?? null;
  const validation = dataset.validation && isSpooled(dataset.validation) ? dataset.validation : undefined;
  const held = new Set<WritableRows>();
  let computed = 0;
  const split = async (
    cut: CutModel,
    moved: Weights,
    batch: SpooledBatch,
    name: Split,
    view: number,
  ): Promise<Examples> => {
    const { count } = batch.stored;
    computed += count;
    const features = await extractStored(takeStaticProgram(cut, weightsAfter(moved)), {
      ...{ count, folder: localFolderOf(settings.cache), batchSize: run.extractionBatch },
      read: (from, to) => requireInputs(inputsInOrder(batch.stored.read(from, to), names), run.graph),
      drawn: views === null ? undefined : { view, seed: settings.seed },
      signal: settings.signal ?? undefined,
      onProgress: (done) =>
        settings.onProgress({ kind: "extract", unit: "samples", done, cached: 0, total: count }),
    });
    for (const rows of features) held.add(rows);
    const targets = checkedTargets(run.objective, batch.targets, count, batch.sampleWeights);
    return examplesOf(features, targets, weightingOf(run, name));
  };
  const release = (): void => {
    for (const rows of held) rows.dispose();
    held.clear();
  };
  return {
    open: async (phase, moved, firstEpoch) => {
      return viewedExamples(run, phase, firstEpoch, {
        train: (view) => split(phase, moved, dataset, "train", view),
        validation: validation && (() => split(phase, moved, validation, "val", 0)),
        dispose: release,
      });
    },
    validation: async () => {
      if (!validation) return null;
      const examples = await split(run, new Map(), validation, "val", 0);
      return { examples, names: numbered(sampleCount(examples)) };
    },
    extracted: () => computed,
    duplicates: () => [],
    close: async () => {
      release();
      dataset.stored.close();
      validation?.stored.close();
    },
  };
}
