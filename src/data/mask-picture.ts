import { loadSharp } from "./decoder-info.ts";

/** Colors of classes in drawn masks, which people with color-blindness tell apart; the first is for the background. */
const colors: readonly (readonly [number, number, number])[] = [
  [38, 44, 56],
  [86, 180, 233],
  [230, 159, 0],
  [0, 158, 115],
  [204, 121, 167],
  [240, 228, 66],
  [213, 94, 0],
  [0, 114, 178],
  [170, 170, 170],
  [148, 103, 189],
  [140, 86, 75],
  [188, 189, 34],
];
/** Color of pixels that no class is said of. */
const unknown = [255, 255, 255] as const;

/** Returns the color of a class in drawn masks as `#rrggbb`. With more classes than colors some share one. */
export function maskColor(index: number): string {
  const parts = colorOf(index).map((part) => part.toString(16).padStart(2, "0"));
  return `#${parts.join("")}`;
}

function colorOf(index: number): readonly [number, number, number] {
  if (index === 0) return colors[0] ?? unknown;
  return colors[1 + ((index - 1) % (colors.length - 1))] ?? unknown;
}

/** The longer side of a drawn mask in pixels. */
const longerSide = 160;

/**
 * Returns classes, row-major, drawn in their colors as a small PNG in a data URI, for a page.
 * @param count Number of classes; other values are drawn white.
 */
export async function maskPicture(
  classes: Uint8Array,
  { height, width }: { readonly height: number; readonly width: number },
  count: number,
): Promise<string> {
  const { default: sharp } = await loadSharp();
  const pixels = Buffer.alloc(3 * classes.length);
  for (const [index, value] of classes.entries())
    pixels.set(value < count ? colorOf(value) : unknown, 3 * index);
  const bytes = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .resize(longerSide, longerSide, { fit: "inside", kernel: "nearest" })
    .png({ palette: true })
    .toBuffer();
  return `data:image/png;base64,${bytes.toString("base64")}`;
}
