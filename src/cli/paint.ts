/** A way that text may stand out on a terminal. */
export type PaintStyle = "bold" | "cyan" | "green" | "red" | "yellow";

/** Returns a text in a style, or as it is where there are no colors. */
export type Paint = (style: PaintStyle, text: string) => string;

/** Codes of Select Graphic Rendition (ECMA-48) that begin and end a style. */
const codes: Readonly<Record<PaintStyle, readonly [begin: number, end: number]>> = {
  bold: [1, 22],
  cyan: [36, 39],
  green: [32, 39],
  red: [31, 39],
  yellow: [33, 39],
};

/** Returns the painter of a stream; `hasColors` as `tty.WriteStream.hasColors` tells it, which heeds NO_COLOR. */
export function painter(hasColors: boolean): Paint {
  if (!hasColors) return (_style, text) => text;
  return (style, text) => {
    const [begin, end] = codes[style];
    return `\u001b[${begin}m${text}\u001b[${end}m`;
  };
}
