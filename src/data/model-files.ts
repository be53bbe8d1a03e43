import type { Checkpoint, Notes, PreprocessMode } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { ClassFolderOptions, ClassFolders } from "./class-folders.ts";
import { imageFolder, textFolder } from "./class-folders.ts";
import type { FileDataset } from "./dataset.ts";
import { fileKinds } from "./file-kind.ts";
import type { ImageOptions } from "./images.ts";
import { imageReader } from "./images.ts";
import { detectPreprocess, imageChannelsOf, imageSizeOf } from "./input-images.ts";

import type { SampleReader } from "./sample-reader.ts";
import { takesTexts, textReader, textShapeOf } from "./texts.ts";

/** How files become a model's input, where a caller wants it otherwise than the file and its family say. */
export interface FileOptions {
  /** 32 */
  readonly batchSize?: number | undefined;
  /** Of images. */
  readonly imageSize?: number | readonly [number, number] | undefined;
  /** Of images. */
  readonly preprocess?: PreprocessMode | "auto" | undefined;
  /** Whether EXIF orientation is applied; true. */
  readonly exif?: boolean | undefined;
  /** Whether a file that cannot be used is an error; false. */
  readonly strictData?: boolean | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What the files of this model's data are. @throws {TopologyError} where it takes neither images nor texts. */
export function fileKindOf(checkpoint: Checkpoint): FileDataset["kind"] {
  const graph = layerGraph(checkpoint);
  const kind = takesTexts(graph) ? "texts" : "images";
  if (kind === "texts") textShapeOf(graph);
  else imageChannelsOf(graph);
  return kind;
}

/**
 * The labelled files of a folder: texts for a model that takes texts, images for one that takes images.
 * @throws {DataError} if the folder is not laid out so. @throws {TopologyError} where the model takes neither.
 */
export async function dataFolder(
  checkpoint: Checkpoint,
  directory: string,
  options: ClassFolderOptions = {},
): Promise<ClassFolders> {
  return fileKindOf(checkpoint) === "texts"
    ? textFolder(directory, options)
    : imageFolder(directory, options);
}

/**
 * How files of this kind become the model's input.
 * @throws {UsageError} where it takes no images of that size, or files of another kind.
 */
export function fileReader(
  kind: FileDataset["kind"],
  graph: LayerGraph,
  notes: Notes,
  options: FileOptions,
): SampleReader {
  const takes = takesTexts(graph) ? "texts" : "images";
  if (takes !== kind) {
    const [expected, got] = [fileKinds[takes].many, fileKinds[kind].many];
    throw new UsageError(
      `${optionName("data")}: expected ${expected}, which ${graph.name} takes, got ${got}. Pass a folder of ${expected}.`,
      "other-kind",
      "data",
    );
  }
  if (kind === "images") return imageReader(imageInput(graph, notes, options));
  for (const [option, given] of [
    ["imageSize", options.imageSize],
    ["preprocess", options.preprocess === "auto" ? undefined : options.preprocess],
  ] as const) {
    if (given === undefined) continue;
    throw new UsageError(
      `${optionName(option)}: expected a model that takes images, got ${graph.name}, which takes texts. Leave it out.`,
      "image-flag",
      option,
    );
  }
  return textReader(textShapeOf(graph));
}

/** How images become this model's input. @throws {UsageError} where its input takes no images of that size. */
export function imageInput(graph: LayerGraph, notes: Notes, options: FileOptions): Required<ImageOptions> {
  const asked = options.preprocess ?? "auto";
  const detected = detectPreprocess(graph, notes);
  if (asked === "auto" && detected.warning) options.onWarning?.(detected.warning);
  return {
    imageSize: imageSizeOf(graph, notes, options.imageSize),
    preprocess: asked === "auto" ? detected.mode : asked,
    channels: imageChannelsOf(graph),
    exif: options.exif ?? true,
  };
}
