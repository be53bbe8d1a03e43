import type { PreprocessMode } from "../checkpoint.ts";
import { pixelStatistics } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import type { PixelSteps } from "../formats/write-options.ts";
import { type OptionCheck, optionSetTo } from "../options.ts";

const fround = Math.fround;
const namedModes: readonly unknown[] = ["auto", "caffe", "tf", "torch", "unit", "none"] satisfies (
  | PreprocessMode
  | "auto"
)[];

/** Takes the modes of preprocessing by name, and `mean=…,std=…` in units of the pixels in the file. */
export const preprocessMode: OptionCheck<PreprocessMode | "auto"> = (given, refuse) => {
  if (namedModes.includes(given)) return given as PreprocessMode | "auto";
  const statistics = typeof given === "string" ? pixelStatistics(given) : null;
  if (!statistics) {
    throw refuse(
      `one of ${namedModes.join(", ")}, or mean=…,std=… such as mean=123.7,116.3,103.5,std=58.4,57.1,57.4`,
    );
  }
  const { mean, std } = statistics;
  const sizes = [mean.length, std.length].filter((size) => size > 1);
  if (sizes.some((size) => size !== 3 && size !== 4) || new Set(sizes).size > 1) {
    throw refuse("one mean and one std, or one per channel");
  }
  const isOfUnit = std.every((value) => value < 1) && mean.every((value) => Math.abs(value) <= 1);
  if (isOfUnit) {
    const scaled = (values: readonly number[]) =>
      values.map((value) => Number((value * 255).toFixed(4))).join(",");
    throw refuse(
      `mean and std of pixels as they are in the file, 0 to 255 (of these for 0 to 1: mean=${scaled(mean)},std=${scaled(std)})`,
    );
  }
  return given as PreprocessMode;
};

/**
 * Turns pixels of 0 to 255, `[…, channels]`, into what a network trained under `mode` expects, in place and in float32.
 *
 * Source: `keras/src/applications/imagenet_utils.py`: `caffe` swaps to BGR and subtracts ImageNet's means, `tf` scales to [-1, 1],
 * `torch` scales to [0, 1] and standardizes. `unit` is `rescale=1/255`; `mean=…,std=…` standardizes; `none` leaves the pixels.
 *
 * @throws {UsageError} if the mode does not fit the number of channels.
 */
export function preprocessPixels(pixels: Float32Array, mode: PreprocessMode, channels = 3): void {
  const { length } = pixels;
  switch (mode) {
    case "none":
      return;
    case "tf":
      for (let index = 0; index < length; index++) pixels[index] = fround(pixels[index]! / 127.5) - 1;
      return;
    case "unit":
      for (let index = 0; index < length; index++) pixels[index] = pixels[index]! / 255;
      return;
    case "caffe":
      requireColor(mode, channels);
      toCaffe(pixels);
      return;
    case "torch":
      requireColor(mode, channels);
      standardize(pixels, 255, torchStatistics.mean, torchStatistics.std);
      return;
    default: {
      const { mean, std } = statisticsOf(mode, channels);
      standardize(pixels, 1, mean, std);
    }
  }
}

/**
 * Returns what `preprocessPixels` does under `mode` as arithmetic that another program can carry out.
 *
 * @throws {UsageError} if the mode does not fit the number of channels.
 */
export function pixelSteps(mode: PreprocessMode, channels: number): PixelSteps {
  const plain: PixelSteps = { isReversed: false, divisor: 1, mean: [0], std: [1] };
  switch (mode) {
    case "none":
      return plain;
    case "tf":
      return { ...plain, divisor: 127.5, mean: [1] };
    case "unit":
      return { ...plain, divisor: 255 };
    case "caffe":
      requireColor(mode, channels);
      return { ...plain, isReversed: true, mean: [103.939, 116.779, 123.68] };
    case "torch":
      requireColor(mode, channels);
      return { ...plain, divisor: 255, ...torchStatistics };
    default:
      return { ...plain, ...statisticsOf(mode, channels) };
  }
}

/** Means and standard deviations of ImageNet's pixels from 0 to 1. */
const torchStatistics = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;

function toCaffe(pixels: Float32Array): void {
  const [blueMean, greenMean, redMean] = [fround(103.939), fround(116.779), fround(123.68)];
  for (let index = 0; index < pixels.length; index += 3) {
    const red = pixels[index]!;
    pixels[index] = pixels[index + 2]! - blueMean;
    pixels[index + 1] = pixels[index + 1]! - greenMean;
    pixels[index + 2] = red - redMean;
  }
}

/** Divides by `scale`, subtracts each channel's mean and divides by its standard deviation. */
function standardize(
  pixels: Float32Array,
  scale: number,
  mean: readonly number[],
  std: readonly number[],
): void {
  const [means, deviations] = [Float32Array.from(mean), Float32Array.from(std)];
  const channels = means.length;
  for (let index = 0; index < pixels.length; index++) {
    const channel = index % channels;
    const centered = fround(fround(pixels[index]! / scale) - means[channel]!);
    pixels[index] = centered / deviations[channel]!;
  }
}

function statisticsOf(mode: PreprocessMode, channels: number) {
  const statistics = pixelStatistics(mode);
  if (!statistics) {
    throw new UsageError(
      `${optionSetTo("preprocess", mode)}: expected mean=…,std=… with numbers. Use for example mean=127.5,std=127.5.`,
      "preprocess-channels",
      "preprocess",
    );
  }
  const perChannel = (values: readonly number[]): readonly number[] => {
    if (values.length === 1) return new Array<number>(channels).fill(values[0] ?? 0);
    if (values.length === channels) return values;
    throw new UsageError(
      `${optionSetTo("preprocess", mode)}: expected one number or ${channels}, one per channel, got ${values.length}.`,
      "preprocess-channels",
      "preprocess",
    );
  };
  return { mean: perChannel(statistics.mean), std: perChannel(statistics.std) };
}

function requireColor(mode: PreprocessMode, channels: number): void {
  if (channels === 3) return;
  throw new UsageError(
    `${optionSetTo("preprocess", mode)}: is for RGB images: expected 3 channels, got ${channels}. Use tf, unit, none or mean=…,std=….`,
    "preprocess",
    "preprocess",
  );
}
