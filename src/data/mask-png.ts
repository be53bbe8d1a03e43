import { encode } from "fast-png";
import type { Tensor } from "../tensor.ts";
import { formatShape } from "../tensor.ts";

/**
 * Returns a mask as the bytes of a PNG whose pixels are class indices, with Pascal VOC's colors as its palette so that viewers show the
 * classes: `maskFolder` and Pillow read the indices back. Above 256 classes the pixels are 16-bit gray.
 *
 * @param mask Class indices `[height, width]`.
 */
export function maskPng({ shape, data }: Tensor): Uint8Array {
  const [height, width, ...more] = shape;
  if (height === undefined || width === undefined || more.length > 0)
    throw new Error(`mask: expected [height, width], got ${formatShape(shape)}`);
  const classes = Array.from(data as ArrayLike<number>, Number);
  const highest = classes.reduce((most, value) => Math.max(most, value), 0);
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
