/** @file Images that are made here, as PNG files. */
import type { DecodedImage } from "./decode.ts";
import { loadSharp } from "./decoder-info.ts";

/** An image file of three channels. */
export interface PngImage {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Draws an SVG text in the size that it names. @throws {MachineError} if the image library does not load. */
export async function drawnSvg(svg: string): Promise<PngImage> {
  const { default: sharp } = await loadSharp();
  const { data, info } = await sharp(Buffer.from(svg))
    .flatten({ background: "#ffffff" })
    .removeAlpha()
    .png()
    .toBuffer({ resolveWithObject: true });
  return { png: data, width: info.width, height: info.height };
}

/** An image under a heatmap, which is encoded as it is asked for. */
export interface OverlaidImage {
  png(): Promise<Uint8Array>;
  jpeg(): Promise<Buffer>;
}

/** A map of numbers from 0 to 1, row-major `[height, width]`. */
export interface Heatmap {
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

/**
 * Lays a heatmap over an image, stretched to its size: blue where it is low, red where it is 1, and the image alone where it is 0.
 * @param side Longest side of the result in pixels; a smaller image keeps its size.
 * @throws {MachineError} if the image library does not load.
 */
export async function overlaidImage(
  image: Pick<DecodedImage, "pixels" | "height" | "width">,
  heatmap: Heatmap,
  side: number,
): Promise<OverlaidImage> {
  const { default: sharp } = await loadSharp();
  const whole = { width: image.width, height: image.height, channels: 3 } as const;
  const { data: pixels, info } = await sharp(image.pixels, { raw: whole })
    .resize(side, side, { fit: "inside", withoutEnlargement: true })
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const levels = Buffer.from(Uint8Array.from(heatmap.data, (value) => Math.round(value * 255)));
  const raw = { width: heatmap.width, height: heatmap.height, channels: 1 } as const;
  const stretched = await sharp(levels, { raw })
    .resize(width, height, { fit: "fill", kernel: "cubic" })
    .toColourspace("b-w")
    .raw({ depth: "uchar" })
    .toBuffer();
  for (let index = 0; index < width * height; index++) {
    const level = (stretched[index] ?? 0) / 255;
    const share = 0.55 * Math.min(1, 2 * level);
    for (let channel = 0; channel < 3; channel++) {
      const place = index * 3 + channel;
      pixels[place] = Math.round((pixels[place] ?? 0) * (1 - share) + 255 * heat(level, channel) * share);
    }
  }
  const overlaid = sharp(pixels, { raw: { width, height, channels: 3 } });
  return {
    png: () => overlaid.clone().png().toBuffer(),
    jpeg: () => overlaid.clone().jpeg({ quality: 70 }).toBuffer(),
  };
}

/** Returns a channel, 0 to 1, of the color of a level: from blue through green to red, as matplotlib's `jet`. */
function heat(level: number, channel: number): number {
  const middle = 3 - channel;
  return Math.min(1, Math.max(0, 1.5 - Math.abs(4 * level - middle)));
}
