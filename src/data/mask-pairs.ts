import { DataError } from "../errors.ts";
import { optionSetTo } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import type { FileSample } from "./dataset.ts";
import { loadSharp } from "./decoder-info.ts";
import { colorText, type MaskCoding, type MaskValues, maskClasses, resizeNearest } from "./mask-coding.ts";
import { type MaskImage, readMask } from "./mask-image.ts";

type Pair = FileSample & { readonly targets: { readonly mask: string } };

const pairsAtOnce = 8;

/**
 * Reads every mask once and compares its size with its image's: of equal sides, or of equal proportions for masks of another
 * resolution.
 *
 * @throws {DataError} for a mask that cannot be read, or of other proportions than its image.
 */
export async function checkPairs(
  folder: string,
  pairs: readonly Pair[],
): Promise<MaskValues & { readonly warnings: readonly string[] }> {
  const values = new Set<number>();
  const codings = new Set<MaskImage["coding"]>();
  let isExact = true;
  const turned: string[] = [];
  for (let from = 0; from < pairs.length; from += pairsAtOnce) {
    const part = pairs.slice(from, from + pairsAtOnce);
    const read = await Promise.all(part.map((pair) => Promise.all([maskOf(pair), imageSize(pair.path)])));
    read.forEach(([mask, image], index) => {
      const pair = part[index];
      if (!pair) return;
      for (const value of new Set<number>(mask.values)) values.add(value);
      codings.add(mask.coding);
      isExact &&= mask.isExact;
      if (!image) return;
      if (image.isTurned) turned.push(pair.path);
      checkSize(pair, mask, image);
    });
  }
  if (codings.size > 1 && codings.has("palette")) {
    throw new DataError(
      `${folder}: masks: expected indices into a palette in every mask, got gray or color in some.`,
      "mask-values",
    );
  }
  const some = turned.slice(0, 3).join(", ");
  return {
    ...{ values, codings, isExact },
    warnings:
      turned.length > 0
        ? [
            `${turned.length} images are turned as their camera noted, and their masks are not: ${some}${turned.length > 3 ? ", …" : ""}. Use ${optionSetTo("exif", false)} if the masks were drawn on images as stored.`,
          ]
        : [],
  };
}

async function maskOf({ targets }: Pair): Promise<MaskImage> {
  const mask = await readMask(targets.mask);
  if ("reason" in mask) throw new DataError(`${mask.path}: ${mask.reason}`, "mask");
  return mask;
}

interface Size {
  readonly height: number;
  readonly width: number;
  readonly isTurned: boolean;
}

/** Reads an image's sides from its header, as it stands once turned; undefined for an image that does not decode. */
async function imageSize(path: string): Promise<Size | undefined> {
  const { default: sharp } = await loadSharp();
  try {
    const { width, height, orientation = 1 } = await sharp(path).metadata();
    return orientation > 4
      ? { height: width, width: height, isTurned: true }
      : { height, width, isTurned: orientation > 1 };
  } catch {
    return undefined;
  }
}

function checkSize({ path, targets }: Pair, mask: MaskImage, image: Size): void {
  const isAlike =
    Math.abs(mask.width * image.height - mask.height * image.width) <= Math.max(image.height, image.width);
  if (isAlike) return;
  const isOther =
    Math.abs(mask.height * image.height - mask.width * image.width) <= Math.max(image.height, image.width);
  const advice =
    isOther && image.isTurned
      ? ` The image is turned as its camera noted: use ${optionSetTo("exif", false)}.`
      : "";
  throw new DataError(
    `${targets.mask}: expected ${image.width}x${image.height} as its image ${path} has, or equal proportions, got ${mask.width}x${mask.height}.${advice}`,
    "mask-size",
  );
}

/**
 * Reads masks as class indices, `[N, height, width]`, resized to the nearest.
 *
 * @param size `[height, width]` of the model's output.
 * @returns uint8, or uint16 for more than 256 classes.
 * @throws {DataError} naming the mask that cannot be read, or a value that is no class.
 */
export async function loadMasks(
  paths: readonly string[],
  coding: MaskCoding,
  size: readonly [number, number],
): Promise<Tensor> {
  const length = size[0] * size[1];
  const isWide = coding.classNames.length > 256;
  const data = isWide ? new Uint16Array(paths.length * length) : new Uint8Array(paths.length * length);
  for (let from = 0; from < paths.length; from += pairsAtOnce) {
    const part = paths.slice(from, from + pairsAtOnce);
    await Promise.all(
      part.map(async (path, index) => {
        const mask = await readMask(path);
        if ("reason" in mask) throw new DataError(`${path}: ${mask.reason}`, "mask");
        const classes = maskClasses(mask, coding);
        if ("strange" in classes) throw strangeValue(path, mask, classes.strange, coding);
        data.set(resizeNearest(classes, mask, size), (from + index) * length);
      }),
    );
  }
  return { dtype: isWide ? "uint16" : "uint8", shape: [paths.length, ...size], data };
}

function strangeValue(
  path: string,
  mask: MaskImage,
  value: number,
  { kind, values, classNames }: MaskCoding,
): DataError {
  const text = mask.coding === "color" ? colorText(value) : String(value);
  const known =
    kind === "indices"
      ? `a class index below ${classNames.length}`
      : `one of ${values
          .slice(0, 8)
          .map((each) => (each > 255 ? colorText(each) : each))
          .join(", ")}${values.length > 8 ? ", …" : ""}`;
  return new DataError(`${path}: expected ${known}, got ${text}.`, "mask-values");
}
