import type { FileDataset, FileSample } from "../data/dataset.ts";
import { ensureEngine } from "../engine/backend.ts";
import { openFeatureSource } from "../features/feature-source.ts";
import type { Shard, ShardFeatures } from "../features/shard.ts";
import { viewsOfEpochs } from "../features/views/view.ts";
import { optionError } from "../options.ts";
import { extractShard } from "./extract-shard.ts";
import type { FinetuneOptions } from "./options.ts";
import { prepareRun } from "./prepare.ts";
import type { PreparedRun } from "./prepared-run.ts";
import { resolveOptions } from "./settings.ts";

/**
 * Extracts one machine's share of what a run with these options would extract, into the cache that the run will read. Samples of all
 * splits are extracted, and no other shard's file is read: which samples a run holds out for validation by their content is not asked.
 * @throws {UsageError | TopologyError | KerasFileError | DataError} for whatever would stop the run, before anything is computed.
 */
export async function extractRun(options: FinetuneOptions, shard: Shard): Promise<ShardFeatures> {
  const settings = resolveOptions(options);
  const engine = await ensureEngine(settings.precision);
  const isListed = typeof settings.data === "string";
  const run = await prepareRun(
    { ...settings, ...(isListed && { valFraction: 0 }) },
    { isTimed: false, step: settings },
  );
  for (const message of run.warnings) settings.onProgress({ kind: "warning", message });
  const { dataset } = run;
  if (dataset.kind === "arrays" || !run.reader) {
    throw optionError("data", "files, which machines can share out", "arrays", { code: "extract-arrays" });
  }
  const onWarning = (message: string): void => settings.onProgress({ kind: "warning", message });
  const source = await openFeatureSource(run, run.checkpoint.weights, engine, {
    reader: run.reader,
    views: run.augmentation?.settings,
    strict: settings.strictData,
    cache: run.settings.cache,
    cacheMax: settings.cacheMax,
    hashOf: run.files?.hashOf,
    batchSize: run.extractionBatch,
    storage: settings.cacheDtype,
    signal: settings.signal ?? undefined,
    onWarning,
  });
  try {
    return await extractShard({
      ...{ source, dataset, shard, onWarning },
      viewsOf: viewsNeeded(run, dataset),
      onProgress: (done, total, cached) =>
        settings.onProgress({ kind: "extract", unit: dataset.kind, done, total, cached }),
    });
  } finally {
    await source.close();
  }
}

/** A sample that is not known to be trained on may be held out by its content, and then runs as it is. */
function viewsNeeded(
  { augmentation, settings: { epochs } }: PreparedRun,
  dataset: FileDataset,
): (sample: FileSample) => readonly number[] {
  const views = augmentation?.views ?? null;
  const isSplit = dataset.samples.some(({ split }) => split === "val");
  const trained = views === null ? [0] : views === 0 ? [] : viewsOfEpochs(1, epochs, views);
  return ({ split }) => {
    if (split !== "train") return [0];
    return isSplit ? trained : [...new Set([0, ...trained])];
  };
}
