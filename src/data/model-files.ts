import type { Checkpoint, Notes, PreprocessMode } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionError, optionName } from "../options.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { ClassFolderOptions, ClassFolders } from "./class-folders.ts";
import { imageFolder, textFolder } from "./class-folders.ts";
import type { FileDataset } from "./dataset.ts";
import { fileKinds } from "./file-kind.ts";
import type { ImageOptions } from "./images.ts";
import { imageReader } from "./images.ts";
import { detectPreprocess, imageInputOf, imageSizeOf, preparedTwice } from "./input-images.ts";
import { preprocessMode } from "./preprocess.ts";
import type { SampleReader } from "./sample-reader.ts";
import { takesTexts, textReader, textShapeOf } from "./texts.ts";

/** How files become a model's input, where a caller wants it otherwise than the file and its family say. */
export interface FileOptions {
  /** Samples per batch; 32 by default. */
  readonly batchSize?: number | undefined;
  /** Size that images are resized to: one number for a square, or `[height, width]`. */
  readonly imageSize?: number | readonly [number, number] | undefined;
  /** Preprocessing of pixels; `"auto"` by default. */
  readonly preprocess?: PreprocessMode | "auto" | undefined;
  /** Whether images are turned as their EXIF orientation says; true by default. */
  readonly exif?: boolean | undefined;
  /** Whether a file that cannot be used is an error; false by default. */
  readonly strictData?: boolean | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Returns the kind of files that a model is fed with. @throws {TopologyError} if it takes neither images nor texts. */
export function fileKindOf(checkpoint: Checkpoint): FileDataset["kind"] {
  const graph = layerGraph(checkpoint);
  const kind = takesTexts(graph) ? "texts" : "images";
  if (kind === "texts") textShapeOf(graph);
  else imageInputOf(graph);
  return kind;
}

/**
 * Lists the labelled files of a folder: texts for a model that takes texts, images for one that takes images.
 *
 * @throws {DataError} if the folder is not laid out as `imageFolder` says. @throws {TopologyError} if the model takes neither.
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
 * Returns the reader that makes files of this kind the model's input.
 *
 * @throws {UsageError} if the model takes files of another kind, or no images of that size.
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

/**
 * Returns how images become this model's input.
 *
 * @throws {UsageError} if its input takes no images of that size, or for a preprocessing that does not exist.
 */
export function imageInput(graph: LayerGraph, notes: Notes, options: FileOptions): Required<ImageOptions> {
  const given = options.preprocess ?? "auto";
  const asked = preprocessMode(given, (expected) => optionError("preprocess", expected, given));
  const detected = detectPreprocess(graph, notes);
  const warning = asked === "auto" ? detected.warning : preparedTwice(graph, asked);
  if (warning !== undefined) options.onWarning?.(warning);
  const { channels, layout, isWhole } = imageInputOf(graph, options.imageSize);
  return {
    imageSize: imageSizeOf(graph, notes, options.imageSize),
    preprocess: asked === "auto" ? detected.mode : asked,
    ...{ channels, layout, isWhole },
    exif: options.exif ?? true,
  };
}
