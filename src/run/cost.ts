import { statfsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, resolve } from "node:path";
import type { Weights } from "../checkpoint.ts";
import type { Split, StoredDataset } from "../data/dataset.ts";
import type { HashFile } from "../data/file-bytes.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { batchSamples, isSpooled } from "../data/spooled-batches.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { graphBackend } from "../engine/graph/whole-graph.ts";
import { type MeasuredSpeed, probeSpeed } from "../engine/speed-probe.ts";
import { DataError } from "../errors.ts";
import type { PhasedModel } from "../features/cut.ts";
import { extractionBatch } from "../features/extraction-batch.ts";
import { cachedCount } from "../features/feature-source.ts";
import { viewsOfEpochs } from "../features/views/view.ts";
import type { CostConditions } from "../freeze/cost.ts";
import { batchOfGraph } from "../model/program-runner.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { slotsPerWeight } from "../training/optimizer-config.ts";
import type { Augmentation } from "./augmentation.ts";
import { plannedEpochs } from "./phases.ts";
import type { RunSettings } from "./settings.ts";

/** Memory that a process of each engine takes besides what the plan counts, as bench/PLAN.md has it measured. */
const engineMemory = {
  // Steps as a graph take 54 MB more than as calls in MobileNetV2, 72 in EfficientNetB0, 165 in ResNet50, with nothing frozen: 9, 16 and 94 of
  // it are the gradients, the rest is its form before and after TensorFlow has optimized it, and what runs side by side in it.
  // A graph of the static part takes 31 MB more than its calls in MobileNetV2, 72 in ResNet50.
  native: { workingBytes: 60e6, copiesOnTop: 0, kernelCopies: 1.25, graphBytes: 55e6 },
  wasm: { workingBytes: 75e6, copiesOnTop: 2.7, kernelCopies: 1.25, graphBytes: 0 },
  // Not measured on a GPU: as on WebAssembly, whose module is there too.
  webgpu: { workingBytes: 75e6, copiesOnTop: 0, kernelCopies: 1.25, graphBytes: 0 },
} as const;

/** Returns what the cost of every phase depends on, with the speed of this machine measured now. */
export async function costConditions(
  dataset: StoredDataset,
  optimizer: OptimizerConfig,
  settings: Pick<RunSettings, "batchSize" | "cacheDtype"> & {
    readonly views: number | null;
    /** False where nobody reads the plan's seconds: then nothing is timed for them. */
    readonly isTimed: boolean;
  },
  reader: SampleReader | null,
  engine: EngineInfo,
): Promise<CostConditions> {
  const { speed, ...conditions } = await engineConditions(engine, settings.isTimed);
  const secondsPerSample = settings.isTimed
    ? await readingSeconds(dataset, reader, settings.views === null ? 0 : 1)
    : 0;
  return {
    ...conditions,
    trainSamples: countOf(dataset, "train"),
    validationSamples: countOf(dataset, "val"),
    batchSize: settings.batchSize,
    optimizerSlots: slotsPerWeight(optimizer),
    speed: { ...speed, secondsPerSample },
    inMemory: dataset.kind === "arrays" && !isSpooled(dataset),
    bytesPerValue: settings.cacheDtype === "float16" ? 2 : 4,
    residentBytes: process.memoryUsage.rss(),
  };
}

/** The speed of an engine whose speed nobody asks for: anything above zero. */
const anySpeed: MeasuredSpeed = {
  multiplyAddsPerSecond: 1e10,
  bytesPerSecond: 1e9,
  secondsPerOperation: 1e-5,
};

/** Returns what the cost of every run depends on that the engine decides, with its speed measured now if it is asked for. */
export async function engineConditions(
  engine: EngineInfo,
  isTimed = true,
): Promise<
  Pick<
    CostConditions,
    | "speed"
    | "overlaps"
    | "graphBatches"
    | "residentBytes"
    | "extractionBatch"
    | "onGpu"
    | keyof (typeof engineMemory)["wasm"]
  >
> {
  const speed = isTimed ? await probeSpeed() : anySpeed;
  return {
    speed,
    overlaps: engine.threads < availableParallelism(),
    residentBytes: process.memoryUsage.rss(),
    ...engineMemory[engine.name],
    ...(!graphBackend() && { graphBytes: 0 }),
    graphBatches: batchOfGraph,
    onGpu: engine.name === "webgpu",
    extractionBatch: extractionBatch(engine),
  };
}

/** Files that are read to know how long one takes, after one that warms up. */
const timedFiles = 6;

/**
 * Returns the seconds to read one sample, or a view of it, in a row of many, as an extraction reads them; 0 for arrays, and where no
 * file can be read.
 */
async function readingSeconds(
  dataset: StoredDataset,
  reader: SampleReader | null,
  view: number,
): Promise<number> {
  if (dataset.kind === "arrays" || !reader) return 0;
  const files = dataset.samples
    .filter(({ split }) => split === "train")
    .slice(0, timedFiles + 1)
    .map(({ path }) => ({ path, view }));
  const secondsFor = async (some: typeof files): Promise<number> => {
    const started = performance.now();
    const batches = sampleBatches(some, reader, { batchSize: timedFiles });
    try {
      for await (const { indices } of batches) return (performance.now() - started) / 1000 / indices.length;
    } catch (error) {
      // The run itself refuses data of which no file can be used, and says why.
      if (!(error instanceof DataError)) throw error;
    }
    return 0;
  };
  await secondsFor(files.slice(0, 1));
  return files.length > 1 ? secondsFor(files.slice(1)) : 0;
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

/** A run whose cache is looked into. */
export interface CacheQuestion {
  readonly dataset: StoredDataset;
  readonly reader: SampleReader | null;
  readonly cuts: PhasedModel;
  readonly weights: Weights;
  readonly engine: EngineInfo;
  readonly augmentation: Augmentation | null;
  readonly cache: string | false;
  readonly cacheDtype: RunSettings["cacheDtype"];
  /** Epochs of each phase. */
  readonly epochs: readonly number[];
  /** Number of rows that every batch of the extraction is padded to. */
  readonly batchSize: number;
  readonly hashOf: HashFile | undefined;
}

/**
 * Returns how many training samples, or views of them, and validation samples have their features at the cut of a phase in the cache.
 * 0 where a phase before it trains what it freezes: its features are of weights that are not known yet.
 */
export async function cachedSamples(
  {
    dataset,
    reader,
    cuts,
    weights,
    engine,
    augmentation,
    cache,
    cacheDtype,
    epochs,
    batchSize,
    hashOf,
  }: CacheQuestion,
  index: number,
): Promise<number> {
  const views = augmentation?.views ?? null;
  const cut = cuts.phases[index]?.cut;
  if (dataset.kind === "arrays" || !reader || views === 0 || !cut) return 0;
  const before = cuts.phases.slice(0, index).map((phase) => phase.cut.partition);
  const isTrainedBefore = cut.graph.nodes.some(
    ({ index: node, layer }) =>
      cut.partition.sides[node] === "static" &&
      before.some(
        ({ trainableWeights, batchStatistics }) => trainableWeights.has(layer) || batchStatistics.has(layer),
      ),
  );
  if (isTrainedBefore) return 0;
  const { from, to } = plannedEpochs(
    epochs.map((count) => ({ epochs: count })),
    index,
  );
  const used = views === null ? [0] : viewsOfEpochs(from, to, views);
  const samples = dataset.samples.flatMap(({ path, split }) =>
    split === "train" ? used.map((view) => ({ path, view })) : split === "val" ? [{ path }] : [],
  );
  const earlierCut = cuts.phases.length > 1 ? cuts.earliest : undefined;
  const settings = {
    ...{ reader, views: augmentation?.settings, cache, hashOf },
    ...{ storage: cacheDtype, batchSize, earlierCut },
  };
  return cachedCount(cut, weights, engine, settings, samples);
}
