import { existsSync } from "node:fs";
import type { Weights } from "../checkpoint.ts";
import { contentHashes, type HashFile } from "../data/file-bytes.ts";
import type { SampleView } from "../data/sample-batches.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import { engineVersion } from "../engine/engine-info.ts";
import { computesAhead } from "../freeze/cost.ts";
import { heldSplits } from "../freeze/kept-rows.ts";
import { isBucketAddress } from "../storage/address.ts";
import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import { concreteShapes, shapeAt } from "../topology/concrete-shapes.ts";
import { nodeAt, tensorAt } from "../topology/layer-graph.ts";
import { defaultCacheDirectory, localFolderOf, requireNoLimitInBucket } from "./cache/cache-directory.ts";
import { cachedRecords, openFeatureCache } from "./cache/feature-cache.ts";
import { indexBeside } from "./cache/file-index.ts";
import type { FeatureCache } from "./cache/kept-features.ts";
import type { FeatureStorage, FeatureTensor } from "./cache/record.ts";
import type { SmallFiles } from "./cache/small-files.ts";
import type { ExtractionIdentity } from "./cache/trunk-key.ts";
import { laterTrunkKeyOf, trunkKeyOf } from "./cache/trunk-key.ts";
import { fromEarlier, fromFiles } from "./computation.ts";
import type { CutModel } from "./cut.ts";
import { extractionBatch } from "./extraction-batch.ts";
import type { Computation, FileFeatures, FilledCache } from "./file-features.ts";
import { extractFiles, fillCache } from "./file-features.ts";
import { isEarlierCut, planStaticProgram, splitProgram, takeStaticProgram } from "./trunk.ts";
import { extractOpenRows, streamRows } from "./uncached-rows.ts";
import type { ViewSettings } from "./views/view.ts";
import { viewKey } from "./views/view.ts";

export interface FeatureSettings {
  /** Makes files, and views of them, the model's input. */
  readonly reader: SampleReader;
  /** Settings of the views; samples have none where absent. */
  readonly views?: ViewSettings | undefined;
  /** True if a file that cannot be used is an error; false by default. */
  readonly strict?: boolean | undefined;
  /** Folder of the cache; false for none; by default the user's cache folder. */
  readonly cache?: string | false | undefined;
  /** Bytes that the whole cache may hold. */
  readonly cacheMax?: number | undefined;
  readonly storage?: FeatureStorage | undefined;
  /** Number of rows that every batch is padded to. Defaults to the engine's own. */
  readonly batchSize?: number | undefined;
  /** The source of an earlier cut of the same graph: what is not cached is computed from its features where that can be. */
  readonly earlier?: FeatureSource | undefined;
  /** Returns the sha256 of a file's bytes, in hexadecimal; by default those that the index beside the cache knows are not read. */
  readonly hashOf?: HashFile | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

type Extract = (
  samples: readonly SampleView[],
  onProgress?: (done: number, cached: number) => void,
) => Promise<FileFeatures>;

type Fill = (
  samples: readonly SampleView[],
  onProgress?: (done: number, cached: number) => void,
) => Promise<FilledCache>;

/** Gives the frontier tensors of files: from the cache, else from the static part. */
export interface FeatureSource {
  readonly cut: CutModel;
  /** The key that features are kept by; null where nothing is computed ahead that could be kept. */
  readonly trunkKey: string | null;
  /** Folder of the cached features; null where none are kept. */
  readonly folder: string | null;
  /** Small files beside the cached features; null where none are kept. */
  readonly files: SmallFiles | null;
  /** Size of the features of one sample in the cache; 0 where none are kept. */
  readonly sampleBytes: number;
  readonly extract: Extract;
  /** Computes what the cache does not hold and keeps it, holding no features; null without a cache. */
  readonly fill: Fill | null;
  close(): Promise<void>;
}

export async function openFeatureSource(
  cut: CutModel,
  weights: Weights,
  engine: EngineInfo,
  settings: FeatureSettings,
): Promise<FeatureSource> {
  const { reader, strict = false, signal, batchSize = extractionBatch(engine) } = settings;
  const tensors = frontierTensors(cut, reader);
  const drawing = { batchSize, seed: settings.views?.seed ?? 0 };
  const uncached = { ...drawing, reader, strict, signal };
  if (tensors === null) {
    warnOfOpenRows(settings);
    const part = takeStaticProgram(cut, weights);
    return withoutCache(cut, (samples, onProgress) =>
      extractOpenRows(part, samples, { ...uncached, onProgress }),
    );
  }
  if (!computesAhead(cut.graph, cut.partition)) {
    const bytes = tensors.reduce((sum, { shape }) => sum + 4 * elementCount(shape), 0);
    const part = takeStaticProgram(cut, weights);
    const held = extraction(fromFiles(part, reader, drawing), settings, tensors, "memory");
    const asked: number[] = [];
    return withoutCache(cut, (samples, onProgress) => {
      asked.push(samples.length * bytes);
      return heldSplits(asked).at(-1)
        ? held(samples, onProgress)
        : streamRows(part, tensors, samples, { ...uncached, onProgress });
    });
  }
  const { compute, trunkKey } = await computationOf(cut, weights, engine, settings);
  if (settings.cache === false)
    return { ...withoutCache(cut, extraction(compute, settings, tensors, "file")), trunkKey };
  const directory = settings.cache ?? defaultCacheDirectory();
  requireNoLimitInBucket(directory, settings.cacheMax);
  const cache = await openFeatureCache({
    directory,
    trunkKey,
    tensors,
    storage: storageOf(cut, settings),
    ...(settings.cacheMax !== undefined && { maxBytes: settings.cacheMax }),
    ...(settings.onWarning && { onWarning: settings.onWarning }),
  });
  const index = await indexBeside(directory);
  const hashOf = settings.hashOf ?? index.hashOf;
  return {
    cut,
    trunkKey,
    folder: cache.folder,
    files: cache.files,
    sampleBytes: cache.recordBytes,
    extract: extraction(compute, settings, tensors, "file", { cache, hashOf }),
    fill: (samples, onProgress) =>
      fillCache(samples, cache, {
        ...{ compute, tensors, strict, signal, onProgress },
        keyOf: keysOf(settings),
        hashOf,
      }),
    close: async () => {
      await cache.close();
      await index.close();
    },
  };
}

/** Returns what computes the features, and the key that they are kept by. */
async function computationOf(
  cut: CutModel,
  weights: Weights,
  engine: EngineInfo,
  settings: FeatureSettings,
): Promise<{ readonly compute: Computation; readonly trunkKey: string }> {
  const { reader, earlier, batchSize = extractionBatch(engine) } = settings;
  const part = takeStaticProgram(cut, weights);
  const identity = await identityOf(cut, engine, settings);
  const earlierKey = earlier?.trunkKey ?? null;
  if (!earlier || earlierKey === null || !isEarlierCut(earlier.cut, cut)) {
    const compute = fromFiles(part, reader, { batchSize, seed: settings.views?.seed ?? 0 });
    return { compute, trunkKey: trunkKeyOf({ ...part, ...identity }) };
  }
  const split = splitProgram(earlier.cut, cut, weights);
  const compute = fromEarlier(split.between, earlier.extract, { batchSize });
  return { compute, trunkKey: laterTrunkKeyOf({ ...identity, ...split, direct: part, earlierKey }) };
}

/** Returns everything but the program that the features of a cut depend on besides the samples. */
async function identityOf(
  cut: CutModel,
  engine: EngineInfo,
  settings: FeatureSettings,
): Promise<ExtractionIdentity> {
  return {
    input: await settings.reader.identity(),
    storage: storageOf(cut, settings),
    batchSize: settings.batchSize ?? extractionBatch(engine),
    engine: { name: engine.name, version: engineVersion(engine) },
  };
}

/**
 * Returns how many of the samples, or views of them, have their features in the cache already. No features are read, and files only
 * where their hashes are not known. `earlierCut` is the one from whose features those of `cut` are computed.
 */
export async function cachedCount(
  cut: CutModel,
  weights: Weights,
  engine: EngineInfo,
  settings: Omit<FeatureSettings, "earlier"> & { readonly earlierCut?: CutModel | undefined },
  samples: readonly SampleView[],
): Promise<number> {
  const { reader, cache, views, earlierCut } = settings;
  const tensors = frontierTensors(cut, reader);
  if (cache === false || tensors === null || !computesAhead(cut.graph, cut.partition)) return 0;
  const directory = cache ?? defaultCacheDirectory();
  if (!isBucketAddress(directory) && !existsSync(directory)) return 0;
  const part = planStaticProgram(cut, weights);
  const identity = await identityOf(cut, engine, settings);
  const trunkKey =
    earlierCut && earlierCut.partition !== cut.partition && isEarlierCut(earlierCut, cut)
      ? laterTrunkKeyOf({
          ...{ ...identity, ...splitProgram(earlierCut, cut, weights), direct: part },
          earlierKey: trunkKeyOf({ ...planStaticProgram(earlierCut, weights), ...identity }),
        })
      : trunkKeyOf({ ...part, ...identity });
  const records = await cachedRecords({ directory, trunkKey, tensors, storage: storageOf(cut, settings) });
  if (records.samples === 0) return 0;
  const hashOf = settings.hashOf ?? (await indexBeside(directory)).hashOf;
  const keyOf = keysOf({ views });
  const hashes = await contentHashes(
    samples.map(({ path }) => path),
    hashOf,
  );
  return samples.reduce((count, { view = 0 }, index) => {
    const hash = hashes[index] ?? null;
    return hash !== null && records.has(keyOf(hash, view)) ? count + 1 : count;
  }, 0);
}

/** Returns the extraction whose rows stay in memory, or leave it for a file where they are many. */
function extraction(
  compute: Computation,
  { views, strict = false, cache: folder, signal }: FeatureSettings,
  tensors: readonly FeatureTensor[],
  place: "memory" | "file",
  kept?: { readonly cache: FeatureCache; readonly hashOf: HashFile },
): Extract {
  return (samples, onProgress) =>
    extractFiles(samples, {
      compute,
      tensors,
      strict,
      rowFolder: place === "memory" ? undefined : localFolderOf(folder),
      cache: kept?.cache,
      keyOf: keysOf({ views }),
      hashOf: kept?.hashOf,
      signal,
      onProgress,
    });
}

function keysOf({ views }: Pick<FeatureSettings, "views">): (contentHash: string, view: number) => string {
  return (contentHash, view) => (views ? viewKey(contentHash, view, views) : contentHash);
}

function withoutCache(cut: CutModel, extract: Extract): FeatureSource {
  return {
    cut,
    trunkKey: null,
    folder: null,
    files: null,
    sampleBytes: 0,
    extract,
    fill: null,
    close: async () => {},
  };
}

function warnOfOpenRows({ cache, onWarning }: FeatureSettings): void {
  if (cache === false) return;
  onWarning?.(
    "feature cache: the frozen part's features are as long as the longest text, and are not kept. Give TextVectorization an output_sequence_length and save again.",
  );
}

/** Whole numbers, which stand for words, are never rounded. */
function storageOf(
  { graph, partition }: CutModel,
  { storage = "float32", onWarning }: FeatureSettings,
): FeatureStorage {
  const whole = partition.frontier.find((ref) => tensorAt(graph, ref).dtype.includes("int"));
  if (storage === "float32" || !whole) return storage;
  onWarning?.(
    `feature cache: ${nodeAt(graph, whole.node).layer} gives whole numbers, which float16 would change: they are kept as float32.`,
  );
  return "float32";
}

/**
 * Returns the frontier of one sample, without the batch; an output of a layer beyond its first is `name:1`. Null where it is as long
 * as the text.
 */
function frontierTensors({ graph, partition }: CutModel, reader: SampleReader): FeatureTensor[] | null {
  const [height, width] = reader.sampleShape;
  const shapes = concreteShapes(graph, [height ?? 1, width ?? 1]);
  const tensors = partition.frontier.map((ref) => {
    const { layer } = nodeAt(graph, ref.node);
    const shape: Shape = shapeAt(shapes, ref) ?? [];
    return { name: ref.output === 0 ? layer : `${layer}:${ref.output}`, shape: shape.slice(1) };
  });
  const known = tensors.flatMap(({ name, shape }) =>
    shape.every((size) => size !== null) ? [{ name, shape }] : [],
  );
  return known.length === tensors.length ? known : null;
}
