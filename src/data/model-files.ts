import type { Checkpoint, Notes, PreprocessMode } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import type { OptionChecks } from "../options.ts";
import { imageSides, optionError, optionName, trueOrFalse, wholeNumber } from "../options.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { ClassFolderOptions, ClassFolders } from "./class-folders.ts";
import { imageFolder, textFolder } from "./class-folders.ts";
import type { FileDataset, StoredDataset } from "./dataset.ts";
import { fileKinds } from "./file-kind.ts";
import type { ImageOptions } from "./images.ts";
import { imageReader } from "./images.ts";
import { detectPreprocess, imageInputOf, imageSizeOf, preparedTwice } from "./input-images.ts";
import { maskFolder } from "./mask-folder.ts";
import { preprocessMode } from "./preprocess.ts";
import type { SampleReader } from "./sample-reader.ts";
import { table } from "./table.ts";
import { isTablePath } from "./table-file.ts";
import type { TableOptions } from "./table-plan.ts";
import { textModel } from "./text-model.ts";
import { takesTexts, textReader, textShapeOf } from "./texts.ts";

/** Options of reading files as a model's input; the model file and its family decide what is absent. */
export interface FileOptions {
  /** Samples per batch; 32 by default. */
  readonly batchSize?: number | undefined;
  /** Bytes of memory that the process may take: fewer samples run together where it is little. Unlimited by default. */
  readonly memory?: number | undefined;
  /** Size that images are resized to: one number for a square, or `[height, width]`. */
  readonly imageSize?: number | readonly [number, number] | undefined;
  /** Preprocessing of pixels; `"auto"` by default. */
  readonly preprocess?: PreprocessMode | "auto" | undefined;
  /** True to turn images as their EXIF orientation says; true by default. */
  readonly exif?: boolean | undefined;
  /** True to fail at a file that cannot be used; false by default. */
  readonly strictData?: boolean | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Checks of the options about files. */
export const fileChecks: OptionChecks<FileOptions> = {
  batchSize: wholeNumber(1),
  memory: wholeNumber(1),
  imageSize: imageSides,
  preprocess: preprocessMode,
  exif: trueOrFalse,
  strictData: trueOrFalse,
  onWarning: null,
  onProgress: null,
};

/** Returns the kind of files that a model is fed with. @throws {TopologyError} if it takes neither images nor texts. */
export function fileKindOf(checkpoint: Checkpoint): FileDataset["kind"] {
  const graph = layerGraph(textModel(checkpoint));
  const kind = takesTexts(graph) ? "texts" : "images";
  if (kind === "texts") textShapeOf(graph);
  else imageInputOf(graph);
  return kind;
}

export interface DataOptions extends ClassFolderOptions, TableOptions {
  /** Folder of masks, for a folder of images whose every pixel has a class. */
  readonly masks?: string | undefined;
}

/**
 * Opens the data at a path for a model: a table (`.csv`, `.tsv`, `.jsonl`), a folder of images with a folder of masks, or a folder of
 * class folders, of texts or images as the model takes them.
 *
 * @throws {DataError} if the data is not laid out so. @throws {UsageError} for an option that this data has no use for.
 * @throws {TopologyError} for a folder, if the model takes neither images nor texts.
 */
export async function openData(
  checkpoint: Checkpoint,
  path: string,
  options: DataOptions = {},
): Promise<StoredDataset> {
  const { masks, x, targets, sampleWeight, splitColumn, group } = options;
  if (isTablePath(path)) {
    refuse({ masks }, `a folder of images, got the table ${path}`);
    const graph = layerGraph(textModel(checkpoint));
    return table(path, {
      ...options,
      outputs: graph.outputs.length,
      kind: takesTexts(graph) ? "texts" : "images",
    });
  }
  refuse({ x, targets, sampleWeight, splitColumn, group }, `a table (.csv, .tsv, .jsonl), got ${path}`);
  if (masks !== undefined)
    return maskFolder(path, masks, { ...options, classes: unitsOf(layerGraph(checkpoint)) });
  return dataFolder(checkpoint, path, options);
}

/** Refuses options that this kind of data has no use for: ignoring one would go unnoticed. */
function refuse(options: Readonly<Record<string, unknown>>, expected: string): void {
  const given = Object.keys(options).find((name) => options[name] !== undefined);
  if (given === undefined) return;
  throw new UsageError(`${optionName(given)}: expected ${expected}. Leave it out.`, "data-option", given);
}

/** Returns the size of the last axis of the model's only output. */
function unitsOf({ nodes, outputs }: LayerGraph): number | undefined {
  const [output, ...more] = outputs;
  if (!output || more.length > 0) return undefined;
  return nodes[output.ref.node]?.outputs[output.ref.output]?.shape?.at(-1) ?? undefined;
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
    crop: notes.crop ?? false,
  };
}
