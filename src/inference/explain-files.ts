/** @file Grad-CAM of image files, as images that are laid over them. */
import type { Checkpoint } from "../checkpoint.ts";
import { decodeImage, thumbnailSide } from "../data/decode.ts";
import type { Heatmap, OverlaidImage } from "../data/image-writing.ts";
import { overlaidImage } from "../data/image-writing.ts";
import { imageReader } from "../data/images.ts";
import type { FileOptions } from "../data/model-files.ts";
import { imageInput } from "../data/model-files.ts";
import { DataError } from "../errors.ts";
import { labelsOf } from "../task/confusion.ts";
import type { ExplainOptions } from "./explain.ts";
import { openExplainer } from "./explain.ts";

export interface ExplainFilesOptions
  extends Pick<ExplainOptions, "layer" | "output">,
    Pick<FileOptions, "imageSize" | "preprocess" | "exif"> {
  /** Class, label or value to explain, by its index. Defaults to what the model predicts. */
  readonly target?: number | undefined;
}

/** Places where a model looked in an image file. */
export interface FileExplanation {
  readonly path: string;
  /** Path of the layer whose output was looked at. */
  readonly layer: string;
  /** Class, label or value that is explained: its name, or its index where nothing names it. */
  readonly label: string;
  readonly index: number;
  /** 0 to 1, stretched over the whole image. */
  readonly heatmap: Heatmap;
  /** Returns the heatmap over the image as a PNG file, its longest side of so many pixels at most. */
  overlay(side?: number): Promise<Uint8Array>;
  /** Returns the same as a small JPEG file in a data URI, for a page. */
  thumbnail(): Promise<string>;
}

/** A model that explains one image file after the other, its weights on the engine. */
export interface FileExplainer {
  /** @throws {DataError} for a file that cannot be used. */
  explain(path: string): Promise<FileExplanation>;
  dispose(): void;
}

const defaultSide = 1024;

/**
 * Yields where the model looked in each image file.
 * @throws {DataError} for a file that cannot be used, and otherwise as `explain` does.
 *
 * @example
 * for await (const found of explainFiles(checkpoint, ["cat.jpg"])) await writeFile("cat.png", await found.overlay());
 */
export async function* explainFiles(
  checkpoint: Checkpoint,
  paths: readonly string[],
  options: ExplainFilesOptions = {},
): AsyncGenerator<FileExplanation, void, void> {
  const explainer = await openFileExplainer(checkpoint, options);
  try {
    for (const path of paths) yield await explainer.explain(path);
  } finally {
    explainer.dispose();
  }
}

export async function openFileExplainer(
  checkpoint: Checkpoint,
  { layer, output: name, target, ...files }: ExplainFilesOptions = {},
): Promise<FileExplainer> {
  const explainer = await openExplainer(checkpoint, { layer, output: name });
  const { output } = explainer;
  const { exif, ...input } = imageInput(explainer.graph, checkpoint.notes, files);
  const reader = imageReader({ ...input, exif });
  const labels = output.units === null || output.kind === "values" ? [] : labelsOf(output, output.units);
  const overlaid = async (path: string, heatmap: Heatmap, side: number): Promise<OverlaidImage> =>
    overlaidImage(await decodeImage(path, { exif }), heatmap, side);
  return {
    explain: async (path) => {
      const image = await reader.load(path);
      if ("reason" in image) throw new DataError(`${image.path}: ${image.reason}`, "image");
      const open = reader.open(1);
      open.set(0, image.value);
      const found = await explainer.run([open.finish(1)], 0, 1, target === undefined ? null : [target]);
      const [, height = 1, width = 1] = found.heatmaps.shape;
      const [index = 0] = found.targets;
      const heatmap = { height, width, data: found.heatmaps.data as Float32Array };
      return {
        ...{ path, layer: found.layer, index, heatmap },
        label: labels[index] ?? String(index),
        overlay: async (side = defaultSide) => (await overlaid(path, heatmap, side)).png(),
        thumbnail: async () => {
          const jpeg = await (await overlaid(path, heatmap, thumbnailSide)).jpeg();
          return `data:image/jpeg;base64,${jpeg.toString("base64")}`;
        },
      };
    },
    dispose: explainer.dispose,
  };
}
