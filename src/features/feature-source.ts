import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Weights } from "../checkpoint.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import type { EngineInfo } from "../engine/backend.ts";
import type { Shape } from "../tensor.ts";
import { concreteShapes, shapeAt } from "../topology/concrete-shapes.ts";
import type { FeatureCache } from "./cache/feature-cache.ts";
import { defaultCacheDirectory, openFeatureCache } from "./cache/feature-cache.ts";
import type { FileIndex } from "./cache/file-index.ts";
import { openFileIndex } from "./cache/file-index.ts";
import type { FeatureStorage, FeatureTensor } from "./cache/record.ts";
import { trunkKeyOf } from "./cache/trunk-key.ts";
import type { CutModel } from "./cut.ts";
import type { FileFeatures } from "./file-features.ts";
import { extractFiles } from "./file-features.ts";
import { extractOpenRows } from "./open-rows.ts";
import { staticProgram } from "./trunk.ts";

export interface FeatureSettings {
  readonly reader: SampleReader;
  /** Whether a file that cannot be used is an error; false. */
  readonly strict?: boolean | undefined;
  /** Folder of the cache; false for none; the user's cache folder where absent. */
  readonly cache?: string | false | undefined;
  /** Bytes that the whole cache may hold. */
  readonly cacheMax?: number | undefined;
  readonly storage?: FeatureStorage | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Where the frontier tensors of files come from: the cache, else the static part. */
export interface FeatureSource {
  extract(
    samples: readonly { readonly path: string }[],
    onProgress?: (done: number, cached: number) => void,
  ): Promise<FileFeatures>;
  close(): Promise<void>;
}

/** Rows that run together: few on WebAssembly, which gains nothing from more. */
const batchSizes = { native: 16, wasm: 8 } as const;

/** Rows that every batch of an extraction is padded to. */
export function extractionBatch(engine: EngineInfo): number {
  return batchSizes[engine.name];
}

export async function openFeatureSource(
  cut: CutModel,
  weights: Weights,
  engine: EngineInfo,
  settings: FeatureSettings,
): Promise<FeatureSource> {
  const { reader, strict = false, signal, onWarning } = settings;
  const part = staticProgram(cut, weights);
  const batchSize = extractionBatch(engine);
  const tensors = frontierTensors(cut, reader);
  if (tensors === null) {
    if (settings.cache !== false) {
      onWarning?.(
        "feature cache: the frozen part's features are as long as the longest text, and are not kept. Give TextVectorization an output_sequence_length and save again.",
      );
    }
    return {
      extract: (samples, onProgress) =>
        extractOpenRows(part, samples, { reader, strict, batchSize, signal, onProgress }),
      close: async () => {},
    };
  }
  const storage = storageOf(cut, settings);
  let cache: FeatureCache | undefined;
  let index: FileIndex | undefined;
  if (settings.cache !== false) {
    const directory = settings.cache ?? defaultCacheDirectory();
    const trunkKey = trunkKeyOf({
      ...part,
      input: await reader.identity(),
      storage,
      batchSize,
      engine: { name: engine.name, version: engine.tensorflow ?? engine.tfjs },
    });
    cache = await openFeatureCache({
      directory,
      trunkKey,
      tensors,
      storage,
      ...(settings.cacheMax !== undefined && { maxBytes: settings.cacheMax }),
      ...(onWarning && { onWarning }),
    });
    index = await openFileIndex(join(directory, "files.index"));
  }
  return {
    extract: (samples, onProgress) =>
      extractFiles(part, samples, {
        reader,
        tensors,
        strict,
        batchSize,
        rowFolder: settings.cache === false ? tmpdir() : (settings.cache ?? defaultCacheDirectory()),
        ...(cache && { cache }),
        ...(index && { hashOf: index.hashOf }),
        ...(signal && { signal }),
        ...(onProgress && { onProgress }),
      }),
    close: async () => {
      await cache?.close();
      await index?.close();
    },
  };
}

/** Whole numbers, which stand for words, are never rounded. */
function storageOf(
  { graph, partition }: CutModel,
  { storage = "float32", onWarning }: FeatureSettings,
): FeatureStorage {
  const whole = partition.frontier.find((ref) =>
    graph.nodes[ref.node]!.outputs[ref.output]!.dtype.includes("int"),
  );
  if (storage === "float32" || !whole) return storage;
  onWarning?.(
    `feature cache: ${graph.nodes[whole.node]!.layer} gives whole numbers, which float16 would change: they are kept as float32.`,
  );
  return "float32";
}

/**
 * The frontier of one sample, without the batch; an output of a layer beyond its first is `name:1`. Null where it is as long as
 * the text.
 */
function frontierTensors({ graph, partition }: CutModel, reader: SampleReader): FeatureTensor[] | null {
  const [height, width] = reader.sampleShape;
  const shapes = concreteShapes(graph, [height ?? 1, width ?? 1]);
  const tensors = partition.frontier.map((ref) => {
    const { layer } = graph.nodes[ref.node]!;
    const shape: Shape = shapeAt(shapes, ref) ?? [];
    return { name: ref.output === 0 ? layer : `${layer}:${ref.output}`, shape: shape.slice(1) };
  });
  const known = tensors.flatMap(({ name, shape }) =>
    shape.every((size) => size !== null) ? [{ name, shape }] : [],
  );
  return known.length === tensors.length ? known : null;
}
