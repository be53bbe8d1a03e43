import sharp from "sharp";
import type { PreprocessMode } from "../checkpoint.ts";
import { DataError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";
import { preprocessPixels } from "./preprocess.ts";
import type { Pixels } from "./resize.ts";
import { resizeBilinear } from "./resize.ts";

export interface LoadOptions {
  /** `[height, width]` in pixels. */
  readonly imageSize: readonly [number, number];
  readonly preprocess: PreprocessMode;
  /** Whether EXIF orientation is applied; true. */
  readonly exif?: boolean;
}

/** RGB bytes of a picture, its first frame. @throws {DataError} where it cannot be decoded. */
export async function decodeImage(path: string, exif = true): Promise<Pixels> {
  try {
    const image = sharp(path, { failOn: "error", limitInputPixels: 2 ** 28 });
    const upright = exif ? image.rotate() : image;
    const { data, info } = await upright
      .removeAlpha()
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels === 3) return { data, height: info.height, width: info.width };
    const rgb = new Uint8Array(info.height * info.width * 3);
    for (let index = 0; index < rgb.length; index++)
      rgb[index] = data[Math.floor(index / 3) * info.channels]!;
    return { data: rgb, height: info.height, width: info.width };
  } catch (error) {
    throw new DataError(
      `${path}: expected a picture, got what cannot be decoded (${(error as Error).message}).`,
      "bad-image",
    );
  }
}

/** One picture as the model takes it: `[height, width, 3]` float32. @throws {DataError} */
export async function loadImage(
  path: string,
  { imageSize, preprocess, exif = true }: LoadOptions,
): Promise<Float32Array> {
  const pixels = resizeBilinear(await decodeImage(path, exif), imageSize[0], imageSize[1]);
  preprocessPixels(pixels, preprocess);
  return pixels;
}

/** `[N, height, width, 3]` float32. @throws {DataError} for the first picture that cannot be decoded. */
export async function loadImages(paths: readonly string[], options: LoadOptions): Promise<Tensor> {
  const [height, width] = options.imageSize;
  const data = new Float32Array(paths.length * height * width * 3);
  for (const [index, path] of paths.entries())
    data.set(await loadImage(path, options), index * height * width * 3);
  return { dtype: "float32", shape: [paths.length, height, width, 3], data };
}
