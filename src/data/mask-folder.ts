import { basename, dirname, extname, join, relative } from "node:path";
import { DataError } from "../errors.ts";
import { bucketPlace, isBucketAddress } from "../storage/address.ts";
import type { FileSample, ImageDataset, Split, TargetColumn } from "./dataset.ts";
import { contentHash, type HashFile } from "./file-bytes.ts";
import { imageFiles } from "./file-kind.ts";
import { listFolder, listTree } from "./file-listing.ts";
import { colorText, type MaskCoding, type MaskPalette, maskCoding } from "./mask-coding.ts";
import { pairByName } from "./mask-names.ts";
import { checkPairs } from "./mask-pairs.ts";
import { splitNameOf } from "./split-names.ts";
import { holdOut } from "./splits.ts";
import { columnIndex } from "./table-columns.ts";
import { openTable } from "./table-file.ts";

export interface MaskFolderOptions {
  /** The color of each class, in class order: `{ road: "#804080", … }`, for masks in color. */
  readonly palette?: MaskPalette | undefined;
  /** Class names in index order, for masks that hold indices. */
  readonly classNames?: readonly string[] | undefined;
  /** The number of classes that the model tells apart. */
  readonly classes?: number | undefined;
  /** Share of train that is held out where there is no val folder; 0.2 by default, 0 for none. */
  readonly validationFraction?: number | undefined;
  /** Returns the sha256 of a file's bytes; an index of known files can spare reading them. */
  readonly hashFile?: HashFile | undefined;
  /** True if the samples are only evaluated: no train split is needed. */
  readonly forEvaluation?: boolean | undefined;
}

/** Images with a mask each. */
export interface MaskFolder extends ImageDataset {
  readonly targetColumns: readonly [TargetColumn];
  /** The origin of the val samples. */
  readonly validation: "folder" | "content-hash" | "none";
  /** Files that are no images, and images of test without a mask. */
  readonly ignored: readonly string[];
}

/**
 * Pairs the images of one folder with the masks of another by their names: `1.jpg` with `1.png`, `1_mask.gif` or `masks/1.png`.
 * Both folders may hold split folders (`images/train`, `masks/train`); without `masks` the folder itself holds both, or split folders
 * with both (`train/images`, `train/masks`). Every mask is read once, for its values and its size.
 *
 * @throws {DataError} if an image has no mask, sizes differ, or the values of the masks are no classes.
 *
 * @example
 * const data = await maskFolder("photos/images", "photos/masks");
 */
export async function maskFolder(
  images: string,
  masks?: string,
  options: MaskFolderOptions = {},
): Promise<MaskFolder> {
  const { forEvaluation = false } = options;
  const places =
    masks === undefined ? await placesInside(images) : await placesOf(images, masks, forEvaluation);
  const paired = await Promise.all(places.map((place) => pairsIn(place)));
  const samples = paired.flatMap(({ samples: own }) => own);
  const folder = masks ?? images;
  if (samples.length === 0)
    throw new DataError(`${images}: expected images with masks, got none.`, "data-no-masks");
  const seen = await checkPairs(folder, samples);
  const palette = options.palette ?? (await paletteBeside(folder));
  const found = maskCoding(folder, seen, { palette, classes: options.classes });
  const coding = { ...found, classNames: namesFor(folder, found, options.classNames) };
  const column: TargetColumn = { name: "mask", kind: "mask", classNames: coding.classNames, coding };
  const hasVal = samples.some(({ split }) => split === "val");
  const fraction = hasVal ? 0 : (options.validationFraction ?? (forEvaluation ? 0 : 0.2));
  const warnings = [...paired.flatMap((each) => each.warnings), ...seen.warnings];
  return {
    kind: "images",
    classNames: [],
    samples: fraction > 0 ? await holdOut(samples, fraction, options.hashFile ?? contentHash) : samples,
    targetColumns: [column],
    validation: hasVal ? "folder" : fraction > 0 ? "content-hash" : "none",
    ignored: paired.flatMap(({ ignored }) => ignored),
    remarks: [codingRemark(folder, coding)],
    ...(warnings.length > 0 && { warnings }),
  };
}

/** A folder of images and the folder of their masks. */
interface Place {
  readonly split: Split;
  readonly images: string;
  /** Undefined for images of test without masks. */
  readonly masks: string | undefined;
}

const imageNames =
  /^(images?|imgs?|jpegimages|inputs?|photos?|pictures|frames|rgb|x|original(_?images)?|leftimg8bit)$/i;
const maskNames =
  /^(masks?|labels?|annotations?|segmentations?(class|_?masks)?|targets?|gt|gtfine|ground_?truth|trimaps?|y|mattes?)$/i;

/** Finds split folders inside a folder of images and inside one of masks, or takes the folders themselves. */
async function placesOf(images: string, masks: string, forEvaluation = false): Promise<readonly Place[]> {
  const [own, others] = await Promise.all([splitsIn(images), splitsIn(masks)]);
  if (own.size === 0) return [{ split: "train", images, masks }];
  if (!own.has("train") && !forEvaluation) throw noTrain(images);
  return Promise.all(
    [...own].map(async ([split, path]) => {
      const mask = others.get(split);
      if (mask === undefined && split !== "test") {
        throw new DataError(
          `${masks}: expected a folder of ${split} as in ${images}, got none.`,
          "data-no-masks",
        );
      }
      return {
        split,
        images: (await folderNamed(path, imageNames)) ?? path,
        masks: mask && ((await folderNamed(mask, maskNames)) ?? mask),
      };
    }),
  );
}

/** Finds folders of images and of masks inside one folder, or inside its split folders. */
async function placesInside(root: string): Promise<readonly Place[]> {
  const [images, masks] = await Promise.all([folderNamed(root, imageNames), folderNamed(root, maskNames)]);
  if (images !== undefined && masks !== undefined) return placesOf(images, masks);
  const splits = await splitsIn(root);
  const places = await Promise.all(
    [...splits].map(async ([split, path]) => {
      const [own, other] = await Promise.all([folderNamed(path, imageNames), folderNamed(path, maskNames)]);
      return own === undefined ? [] : [{ split, images: own, masks: other }];
    }),
  );
  const found = places.flat();
  if (found.some(({ split, masks: other }) => split === "train" && other !== undefined)) return found;
  throw new DataError(
    `${root}: expected folders of images and of masks, images/ and masks/ or train/images/ and train/masks/, got others. Name both folders.`,
    "data-no-masks",
  );
}

function noTrain(path: string): DataError {
  return new DataError(
    `${path}: has split folders but no train folder. Expected ${join(path, "train")}.`,
    "data-no-train",
  );
}

async function splitsIn(path: string): Promise<ReadonlyMap<Split, string>> {
  const { folders } = await listFolder(path, imageFiles);
  const splits = new Map<Split, string>();
  for (const folder of folders) {
    const name = splitNameOf(basename(folder));
    if (name && name.split !== "unlabeled" && !splits.has(name.split)) splits.set(name.split, folder);
  }
  return splits;
}

async function folderNamed(path: string, form: RegExp): Promise<string | undefined> {
  const { folders } = await listFolder(path, imageFiles);
  return folders.find((folder) => form.test(basename(folder)));
}

interface Pairs {
  readonly samples: readonly (FileSample & { readonly targets: { readonly mask: string } })[];
  readonly ignored: readonly string[];
  readonly warnings: readonly string[];
}

async function pairsIn({ split, images, masks }: Place): Promise<Pairs> {
  const own = await listTree(images, imageFiles);
  const ignored = [...own.others, ...own.hidden];
  if (masks === undefined) return { samples: [], ignored: [...ignored, ...own.files], warnings: [] };
  const other = await listTree(masks, imageFiles);
  // Masks may lie in a folder inside the images' own.
  const files = own.files.filter((file) => relative(masks, file).startsWith(".."));
  const { pairs, left, spare } = pairByName(
    files.map((file) => stemOf(images, file)),
    other.files.map((file) => stemOf(masks, file)),
  );
  if (left.length > 0) {
    const some = left.slice(0, 3).map((index) => files[index] ?? "");
    throw new DataError(
      `${images}: ${left.length} of ${files.length} images have no mask in ${masks}: ${some.join(", ")}${left.length > 3 ? ", …" : ""}. Give each mask the name of its image, or move these away.`,
      "data-no-masks",
    );
  }
  const samples = pairs.map(([image, mask]) => ({
    path: files[image] ?? "",
    split,
    targets: { mask: other.files[mask] ?? "" },
  }));
  const some = spare.slice(0, 3).map((index) => other.files[index] ?? "");
  const warnings =
    spare.length > 0
      ? [`${masks}: ${spare.length} masks have no image: ${some.join(", ")}${spare.length > 3 ? ", …" : ""}.`]
      : [];
  return { samples, ignored: [...ignored, ...other.others, ...other.hidden], warnings };
}

function stemOf(folder: string, file: string): string {
  const path = relative(folder, file).replaceAll("\\", "/");
  return path.slice(0, path.length - extname(path).length);
}

function namesFor(
  folder: string,
  { classNames, kind }: MaskCoding,
  given: readonly string[] | undefined,
): readonly string[] {
  if (given === undefined) return classNames;
  if (given.length === classNames.length || (kind === "indices" && given.length > classNames.length))
    return given;
  throw new DataError(
    `${folder}: classNames: expected ${classNames.length} names, as many as classes in the masks, got ${given.length}.`,
    "class-names",
  );
}

function codingRemark(folder: string, { kind, values, classNames, isExact }: MaskCoding): string {
  if (kind === "indices") return `${folder}: masks hold class indices, ${classNames.length} classes`;
  const some = values
    .slice(0, 8)
    .map((value, index) => `${value > 255 ? colorText(value) : value} as ${classNames[index]}`);
  const read = isExact ? some.join(", ") : "values below 128 as background, others as foreground";
  return `${folder}: masks read ${read}${values.length > 8 ? ", …" : ""}`;
}

/** Reads the colors of `class_dict.csv` (name, r, g, b), which datasets such as CamVid carry beside their masks. */
async function paletteBeside(folder: string): Promise<MaskPalette | undefined> {
  const places = isBucketAddress(folder)
    ? [folder, ...(bucketPlace(folder).key === "" ? [] : [dirname(folder)])]
    : [folder, join(folder, "..")];
  for (const place of places) {
    const { others } = await listFolder(place, imageFiles);
    const path = others.find((file) => basename(file).toLowerCase() === "class_dict.csv");
    if (path === undefined) continue;
    const file = await openTable(path);
    const [name, ...colors] = ["name", "r", "g", "b"].map((column) =>
      columnIndex(path, file.columns, column),
    );
    const palette: Record<string, readonly [number, number, number]> = {};
    for await (const { cells } of file.rows()) {
      const [red = 0, green = 0, blue = 0] = colors.map((column) => Number(cells[column]));
      palette[String(cells[name ?? 0])] = [red, green, blue];
    }
    return palette;
  }
  return undefined;
}
