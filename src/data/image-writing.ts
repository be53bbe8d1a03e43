/** @file Images that are made here, as PNG files. */
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
