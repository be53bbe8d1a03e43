import { statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { sampleCount } from "../data/arrays.ts";
import type { Split, StoredDataset } from "../data/dataset.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { ensureEngine } from "../engine/backend.ts";
import { probeSpeed } from "../engine/speed-probe.ts";
import { defaultCacheDirectory } from "../features/cache/feature-cache.ts";
import { extractionBatch } from "../features/feature-source.ts";
import type { CostQuestion } from "../freeze/cost.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { updateRule } from "../training/update-rules.ts";
import type { FinetuneOptions } from "./options.ts";

/** What the cost of the run depends on, with the speed of this machine measured now. */
export async function costQuestion(
  dataset: StoredDataset,
  optimizer: OptimizerConfig,
  options: FinetuneOptions,
  reader: SampleReader | null,
): Promise<CostQuestion> {
  const engine = await ensureEngine();
  const secondsPerImage = await readingSeconds(dataset, reader);
  return {
    trainImages: countOf(dataset, "train"),
    validationImages: countOf(dataset, "val"),
    batchSize: options.batchSize ?? 32,
    optimizerSlots: Object.keys(updateRule(optimizer).slots).length,
    speed: { ...probeSpeed(), secondsPerImage },
    bytesPerValue: options.cacheDtype === "float16" ? 2 : 4,
    residentBytes: process.memoryUsage().rss,
    extractionBatch: extractionBatch(engine),
  };
}

/** Of one picture, the first that decodes among a few, once the decoder is loaded; 0 where none does, and of a text, which costs next to nothing. */
async function readingSeconds(dataset: StoredDataset, reader: SampleReader | null): Promise<number> {
  if (dataset.kind !== "images" || !reader) return 0;
  for (const { path } of dataset.samples.slice(0, 3)) {
    const loaded = await reader.load(path).catch(() => null);
    if (!loaded || "reason" in loaded) continue;
    const started = performance.now();
    await reader.load(path);
    return (performance.now() - started) / 1000;
  }
  return 0;
}

export function cacheContext({ cache, cacheDtype }: FinetuneOptions): {
  cacheFolder?: string;
  freeBytes?: number;
  cacheDtype?: "float32" | "float16";
} {
  if (cache === false) return {};
  const cacheFolder = cache ?? defaultCacheDirectory();
  const free = freeBytesAt(cacheFolder);
  return {
    cacheFolder,
    ...(free !== undefined && { freeBytes: free }),
    ...(cacheDtype !== undefined && { cacheDtype }),
  };
}

function freeBytesAt(folder: string): number | undefined {
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
    return part ? sampleCount(part.inputs) : 0;
  }
  return dataset.samples.filter((sample) => sample.split === split).length;
}
