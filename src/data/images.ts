import type { PreprocessMode } from "../checkpoint.ts";
import type { OptionCheck, OptionChecks } from "../options.ts";
import { imageSides, oneOf, requireOptions, trueOrFalse } from "../options.ts";
import { float32Tensor, type Tensor } from "../tensor.ts";
import { type Channels, type ImageSource, tryDecodeImage } from "./decode.ts";
import { decoderVersion } from "./decoder-info.ts";
import { imageFiles } from "./file-kind.ts";
import { preprocessMode, preprocessPixels } from "./preprocess.ts";
import { readableApart } from "./reading-thread.ts";
import { cropped, resizeBilinear } from "./resize.ts";
import type { SampleOutcome } from "./sample-batches.ts";
import { loadSamples } from "./sample-batches.ts";
import type { BadFile, LoadedSample, SampleReader } from "./sample-reader.ts";

/** Options of the way from an image's file to the model. */
export interface ImageOptions {
  /** `[height, width]` in pixels. */
  readonly imageSize: readonly [number, number];
  readonly preprocess: PreprocessMode;
  /** True to turn images as their EXIF orientation says; true by default. */
  readonly exif?: boolean;
  /** Channels per pixel; 3 by default. */
  readonly channels?: Channels;
  /** Layout of the pixels in the input, as in `ImageInput`; `channels` by default. */
  readonly layout?: "channels" | "gray" | "flat";
  /** True to cut off the fractions that resizing makes, for an input of whole numbers; false by default. */
  readonly isWhole?: boolean;
  /**
   * True to cut off the edges that an image has beyond the proportions of `imageSize`; false by default: it is stretched.
   * Source: `crop_to_aspect_ratio` in `keras/src/backend/tensorflow/image.py`.
   */
  readonly crop?: boolean;
}

/** Options of `loadImages`. */
export interface LoadImagesOptions extends Omit<ImageOptions, "imageSize"> {
  /** Height and width in pixels, or one number for both. */
  readonly imageSize: number | readonly [number, number];
}

const resizeMethod = "bilinear, half-pixel centers, no antialias";

/** A reader of images, which takes the bytes of a file in place of its path too. */
export interface ImageReader extends SampleReader<Float32Array, Tensor> {
  load(source: ImageSource, view?: number): Promise<LoadedSample<Float32Array> | BadFile>;
}

/**
 * Reads an image as float32, resized and preprocessed, `[height, width, channels]`; returns why it cannot be used where it cannot.
 *
 * @param into Receives the pixels, if it has as many values as they are.
 */
export async function loadImage(
  source: ImageSource,
  { imageSize, preprocess, exif = true, channels = 3, isWhole = false, crop = false }: ImageOptions,
  into?: Float32Array,
): Promise<LoadedSample<Float32Array> | BadFile> {
  const image = await tryDecodeImage(source, { exif, channels });
  if ("reason" in image) return image;
  const { contentHash, rotated, mislabelled } = image;
  const size = imageSize[0] * imageSize[1] * channels;
  const value = into?.length === size ? into : new Float32Array(size);
  const kept = crop ? cropped(image, imageSize) : image;
  resizeBilinear(kept.pixels, kept, imageSize, value);
  if (isWhole) value.set(value.map(Math.trunc));
  preprocessPixels(value, preprocess, channels);
  return { value, contentHash, rotated, mislabelled };
}

/**
 * Returns a reader of images as float32, resized and preprocessed: `[N, height, width, channels]`, or as `layout` says.
 *
 * An input of whole numbers is given whole numbers, as Keras converts them (`keras/src/models/functional.py`,
 * `_convert_inputs_to_tensors`).
 */
export function imageReader(options: ImageOptions): ImageReader {
  const { imageSize, preprocess, exif = true, channels = 3, layout = "channels" } = options;
  const { isWhole = false, crop = false } = options;
  const size = imageSize[0] * imageSize[1] * channels;
  const sampleShape = { channels: [...imageSize, channels], gray: [...imageSize], flat: [size] }[layout];
  const reader: ImageReader = {
    kind: imageFiles,
    sampleShape,
    identity: async () => ({
      ...{ preprocess, imageSize: [...imageSize], channels, exif, resizeMethod },
      ...(isWhole && { isWhole }),
      ...(crop && { crop }),
      decoder: await decoderVersion(),
    }),
    load: (source) => loadImage(source, options),
    open: (rows, former) => {
      const isRoom = former?.data instanceof Float32Array && former.data.length === rows * size;
      const data = isRoom ? former.data : new Float32Array(rows * size);
      return {
        set: (row, value) => data.set(value, row * size),
        finish: (count) => float32Tensor(data.subarray(0, count * size), [count, ...sampleShape]),
      };
    },
  };
  readableApart(reader, options);
  return reader;
}

/**
 * Reads images into one float32 tensor `[N, height, width, channels]`, in the order of `sources`: paths, or the bytes of image files.
 *
 * @throws {UsageError} for an option that does not exist or has no such value. @throws {DataError} if an image does not decode; it
 * names each.
 *
 * @example
 * const images = await loadImages(["cat.jpg"], { imageSize: [224, 224], preprocess: "caffe" });
 * const [probabilities] = await predict(checkpoint, images);
 */
export async function loadImages(
  sources: readonly ImageSource[],
  options: LoadImagesOptions,
): Promise<Tensor> {
  // Both have no default, and callers without types leave them out.
  const { imageSize, preprocess } = options;
  requireOptions<object>(
    { ...options, imageSize: imageSize ?? null, preprocess: preprocess ?? null },
    loadChecks,
  );
  const sides = typeof imageSize === "number" ? ([imageSize, imageSize] as const) : imageSize;
  return loadSamples(sources, imageReader({ ...options, imageSize: sides }));
}

const loadChecks: OptionChecks<LoadImagesOptions> = {
  imageSize: imageSides,
  preprocess: (given, refuse) => {
    const mode = preprocessMode(given, refuse);
    if (mode !== "auto") return mode;
    throw refuse("a mode: there is no model here that could say one");
  },
  exif: trueOrFalse,
  channels: oneOfNumbers(1, 3, 4),
  layout: oneOf("channels", "gray", "flat"),
  isWhole: trueOrFalse,
  crop: trueOrFalse,
};

function oneOfNumbers(...choices: readonly number[]): OptionCheck<number> {
  return (given, refuse) => {
    const choice = choices.find((known) => known === given);
    if (choice !== undefined) return choice;
    throw refuse(`one of ${choices.join(", ")}`);
  };
}

/** Counts of the images of a run, and those that a user should hear of. */
export interface ImageTally {
  readonly used: number;
  readonly rotated: number;
  readonly mislabelled: readonly string[];
  readonly bad: readonly BadFile[];
}

/** Collects outcomes; an image that is read twice (in two epochs) counts once. */
export function tallyImages(): { add(outcome: SampleOutcome): void; tally(): ImageTally } {
  const outcomes = new Map<string, SampleOutcome>();
  return {
    add: (outcome) => void outcomes.set(outcome.path, outcome),
    tally() {
      const all = [...outcomes.values()];
      const used = all.filter((outcome) => outcome.reason === undefined);
      return {
        used: used.length,
        rotated: used.filter((outcome) => outcome.rotated).length,
        mislabelled: used.filter((outcome) => outcome.mislabelled).map((outcome) => outcome.path),
        bad: all.flatMap(({ path, reason }) => (reason === undefined ? [] : [{ path, reason }])),
      };
    },
  };
}
