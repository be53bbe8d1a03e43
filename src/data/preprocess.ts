import type { PreprocessMode } from "../checkpoint.ts";
import { UsageError } from "../errors.ts";
import { optionName } from "../options.ts";

const fround = Math.fround;

/**
 * Turns RGB pixels of 0-255, `[…, channels]`, into what a network trained under `mode` expects, in place and in float32.
 *
 * Source: `keras/src/applications/imagenet_utils.py`: `caffe` swaps to BGR and subtracts ImageNet's means, `tf` scales to [-1, 1],
 * `torch` scales to [0, 1] and standardizes, `none` leaves the pixels.
 *
 * @throws {UsageError} for `caffe` and `torch` on anything but 3 channels.
 */
export function preprocessPixels(pixels: Float32Array, mode: PreprocessMode, channels = 3): void {
  if (mode === "none") return;
  if (mode === "tf") {
    for (let index = 0; index < pixels.length; index++) pixels[index] = fround(pixels[index]! / 127.5) - 1;
    return;
  }
  if (channels !== 3) {
    throw new UsageError(
      `${optionName("preprocess")} ${mode}: is for RGB images: expected 3 channels, got ${channels}. Use tf or none.`,
      "preprocess-channels",
      "preprocess",
    );
  }
  if (mode === "caffe") {
    const [blueMean, greenMean, redMean] = [fround(103.939), fround(116.779), fround(123.68)];
    for (let index = 0; index < pixels.length; index += 3) {
      const red = pixels[index]!;
      pixels[index] = pixels[index + 2]! - blueMean;
      pixels[index + 1] = pixels[index + 1]! - greenMean;
      pixels[index + 2] = red - redMean;
    }
    return;
  }
  const means = [fround(0.485), fround(0.456), fround(0.406)];
  const deviations = [fround(0.229), fround(0.224), fround(0.225)];
  for (let index = 0; index < pixels.length; index++) {
    const channel = index % 3;
    const centered = fround(fround(pixels[index]! / 255) - means[channel]!);
    pixels[index] = centered / deviations[channel]!;
  }
}
