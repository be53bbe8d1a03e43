import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PreprocessMode, Weights } from "../checkpoint.ts";
import type { Channels } from "../data/decode.ts";
import { decoderVersion } from "../data/decoder-info.ts";
import { imageChannelsOf } from "../data/input-images.ts";
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
import type { ImageFeatures } from "./image-features.ts";
import { extractImages } from "./image-features.ts";
import { staticProgram } from "./trunk.ts";

export interface FeatureSettings {
  readonly imageSize: readonly [number, number];
  readonly preprocess: PreprocessMode;
  /** Whether EXIF orientation is applied; true. */
  readonly exif?: boolean | undefined;
  /** 1, 3 or 4; the model's own. */
  readonly channels?: Channels | undefined;
  /** Whether a picture that cannot be decoded is an error; false. */
  readonly strict?: boolean | undefined;
  /** Folder of the cache; false for none; the user's cache folder where absent. */
  readonly cache?: string | false | undefined;
  /** Bytes that the whole cache may hold. */
  readonly cacheMax?: number | undefined;
  readonly storage?: FeatureStorage | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** Where the frontier tensors of pictures come from: the cache, else the static part. */
export interface FeatureSource {
  readonly tensors: readonly FeatureTensor[];
  extract(
    samples: readonly { readonly path: string }[],
    onProgress?: (done: number, cached: number) => void,
  ): Promise<ImageFeatures>;
  /** Bytes of this trunk in the cache; 0 without one. */
  cacheBytes(): number;
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
  const { imageSize, preprocess, exif = true, storage = "float32", strict = false, signal } = settings;
  const channels = settings.channels ?? imageChannelsOf(cut.graph);
  const part = staticProgram(cut, weights);
  const tensors = frontierTensors(cut, imageSize);
  const batchSize = extractionBatch(engine);
  let cache: FeatureCache | undefined;
  let index: FileIndex | undefined;
  if (settings.cache !== false) {
    const directory = settings.cache ?? defaultCacheDirectory();
    const trunkKey = trunkKeyOf({
      ...part,
      preprocess,
      imageSize,
      channels,
      exif,
      storage,
      batchSize,
      engine: { name: engine.name, version: engine.tensorflow ?? engine.tfjs },
      decoder: await decoderVersion(),
    });
    cache = await openFeatureCache({
      directory,
      trunkKey,
      tensors,
      storage,
      ...(settings.cacheMax !== undefined && { maxBytes: settings.cacheMax }),
      ...(settings.onWarning && { onWarning: settings.onWarning }),
    });
    index = await openFileIndex(join(directory, "files.index"));
  }
  return {
    tensors,
    extract: (samples, onProgress) =>
      extractImages(part, samples, {
        tensors,
        imageSize,
        preprocess,
        channels,
        exif,
        strict,
        batchSize,
        rowFolder: settings.cache === false ? tmpdir() : (settings.cache ?? defaultCacheDirectory()),
        ...(cache && { cache }),
        ...(index && { hashOf: index.hashOf }),
        ...(signal && { signal }),
        ...(onProgress && { onProgress }),
      }),
    cacheBytes: () => cache?.stats().bytes ?? 0,
    close: async () => {
      await cache?.close();
      await index?.close();
    },
  };
}

/** The frontier of one picture, without the batch; an output of a layer beyond its first is `name:1`. */
function frontierTensors(
  { graph, partition }: CutModel,
  imageSize: readonly [number, number],
): FeatureTensor[] {
  const shapes = concreteShapes(graph, imageSize);
  return partition.frontier.map((ref) => {
    const { layer } = graph.nodes[ref.node]!;
    const shape: Shape = shapeAt(shapes, ref) ?? [];
    return {
      name: ref.output === 0 ? layer : `${layer}:${ref.output}`,
      shape: shape.slice(1).map((size) => size ?? 0),
    };
  });
}
