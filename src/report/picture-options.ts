import type { Notes, PreprocessMode } from "../checkpoint.ts";
import type { ImageBatchOptions } from "../data/images.ts";
import { detectPreprocess, imageChannelsOf, imageSizeOf } from "../data/input-images.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

/** How pictures become a model's input, where a caller wants it otherwise than the file and its family say. */
export interface PictureOptions {
  /** 32 */
  readonly batchSize?: number | undefined;
  readonly imageSize?: number | readonly [number, number] | undefined;
  readonly preprocess?: PreprocessMode | "auto" | undefined;
  /** Whether EXIF orientation is applied; true. */
  readonly exif?: boolean | undefined;
  /** Whether a picture that cannot be decoded is an error; false. */
  readonly strictData?: boolean | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What `imageBatches` needs to feed this model. @throws {UsageError} where its input takes no pictures of that size. */
export function pictureInput(graph: LayerGraph, notes: Notes, options: PictureOptions): ImageBatchOptions {
  const asked = options.preprocess ?? "auto";
  const detected = detectPreprocess(graph, notes);
  if (asked === "auto" && detected.warning) options.onWarning?.(detected.warning);
  return {
    imageSize: imageSizeOf(graph, notes, options.imageSize),
    preprocess: asked === "auto" ? detected.mode : asked,
    channels: imageChannelsOf(graph),
    exif: options.exif ?? true,
    batchSize: options.batchSize ?? 32,
    strict: options.strictData ?? false,
  };
}
