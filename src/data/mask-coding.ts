/** Classes of the values in masks. */
import { DataError } from "../errors.ts";
import type { MaskImage } from "./mask-image.ts";

/** The meaning of the values in masks. */
export interface MaskCoding {
  /** `indices`: a value is the class; `values`: the class is the value's place in `values`. */
  readonly kind: "indices" | "values";
  /** Values in class order, colors as `0xrrggbb`; for indices the values that were seen. */
  readonly values: readonly number[];
  /** Class names in index order. */
  readonly classNames: readonly string[];
  /** Values of JPEG masks are taken as the nearest of `values`. */
  readonly isExact: boolean;
}

/** A value for pixels that no class is said of, as PASCAL VOC has it; the loss may ignore it. */
export const voidValue = 255;

/** Values seen in the masks of a dataset. */
export interface MaskValues {
  readonly codings: ReadonlySet<MaskImage["coding"]>;
  readonly values: ReadonlySet<number>;
  readonly isExact: boolean;
}

/** Colors by class name, `"#804080"` or `[128, 64, 128]`. */
export type MaskPalette = Readonly<Record<string, string | readonly [number, number, number]>>;

/**
 * Decides what the values of masks stand for.
 *
 * - With a palette, colors are the classes of their names.
 * - Indices of a PNG's palette, and gray values below 64, are class indices; 255 beside them is no class.
 * - 0 and 255 alone are background and foreground.
 * - Other gray values are classes in their order, if they are few.
 *
 * @param classes How many classes the model tells apart, where that is known: as many values from 1 on are moved to 0.
 * @throws {DataError} for colors without a palette, and for so many gray values that they are no classes.
 */
export function maskCoding(
  folder: string,
  { codings, values: seen, isExact }: MaskValues,
  { palette, classes }: { readonly palette?: MaskPalette | undefined; readonly classes?: number | undefined },
): MaskCoding {
  if (palette) {
    const classNames = Object.keys(palette);
    return { kind: "values", values: Object.entries(palette).map(colorOf), classNames, isExact };
  }
  if (codings.has("color")) {
    const colors = [...seen].slice(0, 8).map(colorText);
    throw new DataError(
      `${folder}: masks in color: expected a palette that says which class a color is, got none. Colors: ${colors.join(", ")}${seen.size > 8 ? ", …" : ""}. Pass palette: { road: "#804080", … }, or a class_dict.csv (name,r,g,b) beside the masks.`,
      "mask-colors",
    );
  }
  const values = [...seen].sort((a, b) => a - b);
  if (values.length < 2) {
    throw new DataError(
      `${folder}: masks: expected two classes or more, got ${values.length === 0 ? "no mask" : `${values[0]} in every pixel`}.`,
      "mask-values",
    );
  }
  if (values.every((value) => value === 0 || value === 255)) {
    return { kind: "values", values: [0, 255], classNames: ["background", "foreground"], isExact };
  }
  if (!isExact) return lossyCoding(folder, values);
  const indices = values.filter((value) => value !== voidValue);
  const largest = indices.at(-1) ?? 0;
  const isPalette = codings.has("palette");
  if (isPalette || largest < 64) {
    const isShifted =
      classes !== undefined && indices[0] === 1 && indices.length === classes && largest === classes;
    if (isShifted) return { kind: "values", values: indices, classNames: indices.map(String), isExact };
    const count = Math.max(largest + 1, classes ?? 0);
    return {
      kind: "indices",
      values,
      classNames: Array.from({ length: count }, (_, index) => String(index)),
      isExact,
    };
  }
  if (values.length <= 32) return { kind: "values", values, classNames: values.map(String), isExact };
  throw new DataError(
    `${folder}: masks: expected class indices or a few gray values, got ${values.length} different ones, from ${values[0]} to ${values.at(-1)}. Save the masks as PNG, with the index of the class in each pixel.`,
    "mask-values",
  );
}

/** JPEG blurs edges: black and white are told apart all the same, classes are not. */
function lossyCoding(folder: string, values: readonly number[]): MaskCoding {
  const isBlackAndWhite = values.every((value) => value <= 48 || value >= 207);
  if (isBlackAndWhite) {
    return { kind: "values", values: [0, 255], classNames: ["background", "foreground"], isExact: false };
  }
  throw new DataError(
    `${folder}: masks: expected a format that keeps every value, got JPEG, which blurs classes into each other. Save the masks as PNG.`,
    "mask-jpeg",
  );
}

/**
 * Returns the class of each pixel; `voidValue` stays among indices.
 *
 * @returns The classes, or the value that no class has.
 */
export function maskClasses(
  { values }: MaskImage,
  coding: MaskCoding,
): Uint8Array | Uint16Array | { readonly strange: number } {
  const { kind, values: known, classNames, isExact } = coding;
  const classes = classNames.length > 256 ? new Uint16Array(values.length) : new Uint8Array(values.length);
  if (!isExact) {
    values.forEach((value, index) => {
      classes[index] = Number(value >= 128);
    });
    return classes;
  }
  const places = new Map(known.map((value, index) => [value, index]));
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? 0;
    const place =
      kind === "values"
        ? places.get(value)
        : value < classNames.length || value === voidValue
          ? value
          : undefined;
    if (place === undefined) return { strange: value };
    classes[index] = place;
  }
  return classes;
}

/**
 * Resizes classes to the nearest, `tf.image.resize(mask, size, method="nearest")`: pixel centers lie at halves.
 *
 * Source: `keras/src/backend/tensorflow/image.py`, `resize`.
 */
export function resizeNearest(
  classes: Uint8Array | Uint16Array,
  { height, width }: { readonly height: number; readonly width: number },
  size: readonly [number, number],
): Uint8Array | Uint16Array {
  if (height === size[0] && width === size[1]) return classes;
  const length = size[0] * size[1];
  const resized = classes instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length);
  const [rows, columns] = [nearest(height, size[0]), nearest(width, size[1])];
  let at = 0;
  for (const row of rows) {
    for (const column of columns) resized[at++] = classes[row * width + column] ?? 0;
  }
  return resized;
}

function nearest(source: number, target: number): Int32Array {
  const scale = Math.fround(source / target);
  return Int32Array.from({ length: target }, (_, index) =>
    Math.min(Math.floor(Math.fround((index + 0.5) * scale)), source - 1),
  );
}

function colorOf([name, color]: readonly [string, string | readonly [number, number, number]]): number {
  const parts = typeof color === "string" ? hexParts(color) : color;
  if (parts?.length === 3 && parts.every((part) => Number.isInteger(part) && part >= 0 && part <= 255)) {
    const [red = 0, green = 0, blue = 0] = parts;
    return (red << 16) | (green << 8) | blue;
  }
  throw new DataError(
    `palette: ${name}: expected a color such as "#804080" or [128, 64, 128], got ${JSON.stringify(color)}.`,
    "mask-palette",
  );
}

function hexParts(color: string): readonly number[] | undefined {
  const digits = /^#?([0-9a-f]{6})$/i.exec(color)?.[1];
  return digits === undefined
    ? undefined
    : [0, 2, 4].map((from) => Number.parseInt(digits.slice(from, from + 2), 16));
}

export function colorText(color: number): string {
  return `#${color.toString(16).padStart(6, "0")}`;
}
