import { createHash } from "node:crypto";
import type { Sharp, SharpOptions } from "sharp";
import { DataError, MachineError } from "../errors.ts";
import { isBucketAddress } from "../storage/address.ts";
import { decodeBitmap } from "./bitmap.ts";
import { loadSharp } from "./decoder-info.ts";
import { readFileBytes } from "./file-bytes.ts";
import { type ImageFormat, promisedFormat, sniffFormat } from "./image-format.ts";
import type { BadFile } from "./sample-reader.ts";

/** Channels of an image: 1 for grayscale, 3 for RGB, 4 for RGB with alpha, as in Keras's `color_mode`. */
export type Channels = 1 | 3 | 4;

export interface DecodeOptions {
  /** True to turn the image as its EXIF orientation says; true by default. */
  readonly exif?: boolean;
  readonly channels?: Channels;
}

export interface DecodedImage {
  /** Row-major `[height, width, channels]`, 0 to 255. */
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: Channels;
  readonly format: ImageFormat;
  /** True if the EXIF orientation turned or mirrored the image. */
  readonly rotated: boolean;
  /** True if the name promises another format, or none. */
  readonly mislabelled: boolean;
  /** The sha256 of the file's bytes, in hexadecimal; cached features are keyed by it. */
  readonly contentHash: string;
}

/** Larger images are refused before a pixel is decoded. Pillow refuses them too: two thirds of 2^28. */
const maxPixels = 178_956_970;
const maxFileBytes = 512 * 1024 * 1024;

/**
 * Decodes an image file as Pillow's `convert("RGB")` does: embedded color profiles are ignored, alpha is dropped, CMYK is
 * subtracted, 16 bits keep the upper 8, and an animation gives its first frame.
 *
 * @throws {DataError} if the file cannot be used; it says why.
 */
export async function decodeImage(path: string, options: DecodeOptions = {}): Promise<DecodedImage> {
  const image = await tryDecodeImage(path, options);
  if ("reason" in image) throw new DataError(`${image.path}: ${image.reason}`, "image");
  return image;
}

/** An image file: its path, or its bytes. */
export type ImageSource = string | Uint8Array;

/** Decodes an image file as `decodeImage` does, or returns why it cannot be used; the path is "image" for bytes. */
export async function tryDecodeImage(
  source: ImageSource,
  options: DecodeOptions = {},
): Promise<DecodedImage | BadFile> {
  const path = typeof source === "string" ? source : "image";
  const bytes =
    typeof source === "string"
      ? await readFileBytes(source, maxFileBytes)
      : Buffer.from(source.buffer, source.byteOffset, source.byteLength);
  if (typeof bytes === "string") return { path, reason: bytes };
  const format = sniffFormat(bytes);
  if (bytes.length === 0) return { path, reason: "the file is empty." };
  if (format === undefined) {
    const start = JSON.stringify(bytes.subarray(0, 12).toString("latin1"));
    return {
      path,
      reason: `not an image: expected JPEG, PNG, GIF, WebP, BMP, TIFF or AVIF, got a file starting with ${start}.`,
    };
  }
  if (!isDecodable(format))
    return { path, reason: `${format} images are not supported. Save it as JPEG or PNG.` };
  try {
    const decoded = await (format === "bmp"
      ? withChannels(decodeBitmap(bytes), options.channels ?? 3)
      : decodeWithSharp(bytes, options));
    return {
      ...decoded,
      format,
      mislabelled: typeof source === "string" && promisedFormat(path) !== format,
      contentHash: createHash("sha256").update(bytes).digest("hex"),
    };
  } catch (error) {
    if (error instanceof MachineError) throw error;
    return { path, reason: `${format.toUpperCase()} does not decode: ${firstLine(error)}.` };
  }
}

type Pixels = Pick<DecodedImage, "pixels" | "height" | "width" | "channels" | "rotated">;

function isDecodable(format: string): format is ImageFormat {
  return format === format.toLowerCase();
}

async function decodeWithSharp(bytes: Buffer, options: DecodeOptions): Promise<Pixels> {
  const { default: sharp } = await loadSharp();
  const source: SharpOptions = { ignoreIcc: true, failOn: "error", limitInputPixels: maxPixels };
  const {
    width,
    height,
    space,
    orientation = 1,
  } = await sharp(bytes, { ...source, limitInputPixels: false }).metadata();
  if (width * height > maxPixels) {
    throw new Error(`expected at most ${maxPixels} pixels, got ${width} x ${height} = ${width * height}`);
  }
  const rotated = (options.exif ?? true) && orientation > 1;
  const image = rotated ? sharp(bytes, source).autoOrient() : sharp(bytes, source);
  const channels = options.channels ?? 3;
  if (space === "cmyk") {
    const inks = await rawPixels(image.pipelineColourspace("cmyk").toColourspace("cmyk"));
    return withChannels({ ...inks, pixels: cmykToRgb(inks.pixels), channels: 3, rotated }, channels);
  }
  const rgb = image.toColourspace("srgb");
  const raw = await rawPixels(channels === 4 ? rgb.ensureAlpha() : rgb.removeAlpha());
  return channels === 4
    ? { ...raw, channels, rotated }
    : withChannels({ ...raw, channels: 3, rotated }, channels);
}

async function rawPixels(image: Sharp): Promise<{ pixels: Uint8Array; height: number; width: number }> {
  const { data, info } = await image.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
  return { pixels: data, height: info.height, width: info.width };
}

function withChannels(image: Pixels, channels: Channels): Pixels {
  if (channels === image.channels) return image;
  const { pixels } = image;
  const count = pixels.length / 3;
  const converted = new Uint8Array(count * channels);
  for (let index = 0; index < count; index++) {
    const [red, green, blue] = [pixels[index * 3]!, pixels[index * 3 + 1]!, pixels[index * 3 + 2]!];
    // ITU-R 601 luma in 16-bit fixed point, rounded as Pillow's convert("L").
    if (channels === 1) converted[index] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    else converted.set([red, green, blue, 255], index * 4);
  }
  return { ...image, pixels: converted, channels };
}

/** Converts CMYK to RGB as Pillow does: each color is what its ink and black leave of 255, with products rounded to 8 bits. */
function cmykToRgb(inks: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((inks.length / 4) * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4, to += 3) {
    const white = 255 - inks[from + 3]!;
    for (let ink = 0; ink < 3; ink++) {
      const product = inks[from + ink]! * white + 128;
      rgb[to + ink] = white - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .trim()
    .split("\n", 1)[0]!
    .replace(/^Input buffer (has |contains )?/, "")
    .replace(/\.$/, "");
}

/** The longer side of a thumbnail in pixels. */
export const thumbnailSide = 160;

/**
 * Returns a small JPEG of an image file as a data URI, for a page; undefined where the file cannot be decoded. The orientation of
 * EXIF is applied.
 */
export async function thumbnail(path: string): Promise<string | undefined> {
  const { default: sharp } = await loadSharp();
  try {
    const file = isBucketAddress(path) ? await readFileBytes(path, maxFileBytes) : path;
    if (isBucketAddress(path) && typeof file === "string") return undefined;
    const bytes = await sharp(file, { pages: 1 })
      .rotate()
      .resize(thumbnailSide, thumbnailSide, { fit: "inside", withoutEnlargement: true })
      .flatten({ background: "#ffffff" })
      .jpeg({ quality: 70 })
      .toBuffer();
    return `data:image/jpeg;base64,${bytes.toString("base64")}`;
  } catch {
    return undefined;
  }
}
