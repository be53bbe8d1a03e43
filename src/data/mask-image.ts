import { formatShape, type Tensor } from "../tensor.ts";
import { type DecodedImage, tryDecodeImage } from "./decode.ts";
import { readFileBytes } from "./file-bytes.ts";
import { sniffFormat } from "./image-format.ts";
import type { BadFile } from "./sample-reader.ts";

/** A mask as its file has it, one value per pixel. */
export interface MaskImage {
  readonly height: number;
  readonly width: number;
  /** Row-major: indices into a palette, gray values, or colors as `0xrrggbb`. */
  readonly values: Uint8Array | Uint16Array | Uint32Array;
  readonly coding: "palette" | "gray" | "color";
  /** True if the file's format keeps every value: JPEG does not. */
  readonly isExact: boolean;
}

const maxFileBytes = 256 * 1024 * 1024;

/**
 * Reads a mask. A PNG with a palette gives its indices, which colors that occur twice in the palette would lose; gray pixels give
 * their values as stored, 16 bits too; an image whose colors are all gray counts as gray. Alpha is ignored.
 */
export async function readMask(path: string): Promise<MaskImage | BadFile> {
  const bytes = await readFileBytes(path, maxFileBytes);
  if (typeof bytes === "string") return { path, reason: bytes };
  if (sniffFormat(bytes) === "png") return await pngMask(path, bytes);
  const image = await tryDecodeImage(path, { exif: false });
  return "reason" in image ? image : colorMask(image, image.channels, image.format !== "jpeg");
}

/** A file may promise more pixels than memory holds. */
const maxPixels = 178_956_970;

async function pngMask(path: string, bytes: Buffer): Promise<MaskImage | BadFile> {
  const promised = bytes.length < 24 ? 0 : bytes.readUInt32BE(16) * bytes.readUInt32BE(20);
  if (promised > maxPixels) {
    return { path, reason: `PNG does not decode: expected at most ${maxPixels} pixels, got ${promised}.` };
  }
  const { decode } = await import("fast-png");
  try {
    const { width, height, depth, channels, palette, data } = decode(bytes);
    const size = { width, height };
    if (channels >= 3) return colorMask({ ...size, pixels: eightBits(data) }, channels, true);
    const packed = data instanceof Uint16Array ? data : Uint8Array.from(data);
    const values = depth < 8 ? unpacked(Uint8Array.from(data), depth, size) : everyNth(packed, channels);
    return { ...size, values, coding: palette ? "palette" : "gray", isExact: true };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { path, reason: `PNG does not decode: ${message.replace(/\.$/, "")}.` };
  }
}

function eightBits(data: ArrayLike<number>): Uint8Array {
  return data instanceof Uint16Array ? Uint8Array.from(data, (value) => value >> 8) : Uint8Array.from(data);
}

/** Rows of 1, 2 or 4 bits per pixel begin at whole bytes. */
function unpacked(
  data: Uint8Array,
  depth: number,
  { width, height }: { width: number; height: number },
): Uint8Array {
  const values = new Uint8Array(width * height);
  const rowBytes = Math.ceil((width * depth) / 8);
  const mask = (1 << depth) - 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const byte = data[y * rowBytes + (bit >> 3)] ?? 0;
      values[y * width + x] = (byte >> (8 - depth - (bit & 7))) & mask;
    }
  }
  return values;
}

function everyNth<T extends Uint8Array | Uint16Array>(data: T, step: number): T {
  return step === 1 ? data : (data.filter((_, index) => index % step === 0) as T);
}

function colorMask(
  { width, height, pixels }: Pick<DecodedImage, "width" | "height" | "pixels">,
  channels: number,
  isExact: boolean,
): MaskImage {
  const count = width * height;
  const colors = new Uint32Array(count);
  let isGray = true;
  for (let index = 0; index < count; index++) {
    const at = index * channels;
    const [red = 0, green = 0, blue = 0] = [pixels[at], pixels[at + 1], pixels[at + 2]];
    if (red !== green || green !== blue) isGray = false;
    colors[index] = (red << 16) | (green << 8) | blue;
  }
  if (!isGray) return { width, height, values: colors, coding: "color", isExact };
  return { width, height, values: Uint8Array.from(colors, (color) => color & 255), coding: "gray", isExact };
}

/**
 * Returns a mask as the bytes of a PNG whose pixels are class indices, with Pascal VOC's colors as its palette so that viewers show the
 * classes: `maskFolder` and Pillow read the indices back. Above 256 classes the pixels are 16-bit gray.
 *
 * @param mask Class indices `[height, width]`.
 */
export async function maskPng({ shape, data }: Tensor): Promise<Uint8Array> {
  const [height, width, ...more] = shape;
  if (height === undefined || width === undefined || more.length > 0)
    throw new Error(`mask: expected [height, width], got ${formatShape(shape)}`);
  const classes = Array.from(data as ArrayLike<number>, Number);
  const highest = classes.reduce((most, value) => Math.max(most, value), 0);
  const { encode } = await import("fast-png");
  return highest < 256
    ? encode({ width, height, data: Uint8Array.from(classes), channels: 1, depth: 8, palette: vocColors })
    : encode({ width, height, data: Uint16Array.from(classes), channels: 1, depth: 16 });
}

/** Colors of Pascal VOC: bit 3k of a class index is a bit of red, 3k+1 of green, 3k+2 of blue, from the highest bit down. */
const vocColors = Array.from({ length: 256 }, (_, index) =>
  [0, 1, 2].map((channel) => {
    let value = 0;
    for (let bit = 0; bit < 8; bit++) value |= ((index >> (3 * bit + channel)) & 1) << (7 - bit);
    return value;
  }),
);
