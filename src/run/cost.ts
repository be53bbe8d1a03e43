import { statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Split, StoredDataset } from "../data/dataset.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { batchSamples } from "../data/spooled-batches.ts";
import { ensureEngine } from "../engine/backend.ts";
import { probeSpeed } from "../engine/speed-probe.ts";
import { extractionBatch } from "../features/feature-source.ts";
import { viewsOfEpochs } from "../features/views/view.ts";
import type { CostConditions } from "../freeze/cost.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { slotsPerWeight } from "../training/optimizer-config.ts";
import type { RunSettings } from "./settings.ts";

/** Returns what the cost of the run depends on, with the speed of this machine measured now. */
export async function costQuestion(
  dataset: StoredDataset,
  optimizer: OptimizerConfig,
  settings: Pick<RunSettings, "batchSize" | "cacheDtype"> & {
    readonly epochs: number;
    readonly views: number | null;
  },
  reader: SampleReader | null,
): Promise<CostConditions> {
  const engine = await ensureEngine();
  const { views } = settings;
  const secondsPerSample = await readingSeconds(dataset, reader, views === null ? 0 : 1);
  return {
    trainSamples: countOf(dataset, "train"),
    validationSamples: countOf(dataset, "val"),
    ...(views !== null && { views: views && viewsOfEpochs(1, settings.epochs, views).length }),
    batchSize: settings.batchSize,
    optimizerSlots: slotsPerWeight(optimizer),
    speed: { ...probeSpeed(), secondsPerSample },
    bytesPerValue: settings.cacheDtype === "float16" ? 2 : 4,
    residentBytes: process.memoryUsage().rss,
    extractionBatch: extractionBatch(engine),
  };
}

/**
 * Returns the seconds to decode one image, and to make a view of it, once the decoder is loaded: of the second that decodes among a
 * few, because a reader of views holds the last ones. 0 where none does, and for texts, which cost next to nothing.
 */
async function readingSeconds(
  dataset: StoredDataset,
  reader: SampleReader | null,
  view: number,
): Promise<number> {
  if (dataset.kind !== "images" || !reader) return 0;
  let isWarm = false;
  for (const { path } of dataset.samples.slice(0, 4)) {
    const started = performance.now();
    const loaded = await reader.load(path, view).catch(() => null);
    if (!loaded || "reason" in loaded) continue;
    if (isWarm) return (performance.now() - started) / 1000;
    isWarm = true;
  }
  return 0;
}

/** Returns the bytes free on the disk that holds `folder`, or will; undefined where the system does not say. */
export function freeBytesAt(folder: string): number | undefined {
  for (let place = resolve(folder); ; place = dirname(place)) {
    try {
      const { bavail, bsize } = statfsSync(place);
      return bavail * bsize;
    } catch {
      if (place === dirname(place)) return undefined;
    }
  }
}

/** Returns the number of samples in a split. */
export function countOf(dataset: StoredDataset, split: Split): number {
  if (dataset.kind === "arrays") {
    const part = { train: dataset, val: dataset.validation, test: dataset.test }[split];
    return part ? batchSamples(part) : 0;
  }
  return dataset.samples.filter((sample) => sample.split === split).length;
}
