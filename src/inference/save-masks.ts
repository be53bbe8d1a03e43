/** Writes the masks of predictions as images. */
import { readdir, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { commonFolder, placeIn } from "../data/file-listing.ts";
import { maskPng } from "../data/mask-image.ts";
import { UsageError } from "../errors.ts";
import { freeName, portableName } from "../formats/free-name.ts";
import { makeFolder } from "../formats/make-folder.ts";
import { optionName } from "../options.ts";
import type { Tensor } from "../tensor.ts";
import type { FilePrediction } from "./predict-files.ts";

/** A mask of a predicted file. */
export interface SavedMask {
  /** The predicted file. */
  readonly path: string;
  readonly output: string;
  /** The mask's PNG. */
  readonly file: string;
}

/**
 * Writes every mask among predictions as a PNG of the name and subfolder of its image: `DIR/1.png` for `photos/1.jpg`, and
 * `DIR/<output>/1.png` where there are masks of several outputs. The pixels are class indices under a palette.
 *
 * @param folder A new or empty folder.
 * @throws {UsageError} for a folder that holds something, before anything is written.
 */
export async function saveMasks(
  predictions: readonly FilePrediction[],
  folder: string,
): Promise<SavedMask[]> {
  await requireEmpty(folder);
  const masks = predictions.flatMap((prediction) =>
    masksOf(prediction).map(({ output, mask }) => ({ path: prediction.path, output, mask })),
  );
  const outputs = new Set(masks.map(({ output }) => output));
  const root = commonFolder(predictions.map(({ path }) => dirname(resolve(path))));
  const taken = new Set<string>();
  const saved: SavedMask[] = [];
  for (const { path, output, mask } of masks) {
    const place = join(
      folder,
      ...(outputs.size > 1 ? [portableName(output)] : []),
      placeIn(root, dirname(resolve(path))),
    );
    const file = `${freeName(join(place, portableName(basename(path, extname(path)))), taken)}.png`;
    makeFolder(place);
    await writeFile(file, await maskPng(mask));
    saved.push({ path, output, file });
  }
  return saved;
}

/** Returns the masks of a prediction that are images; tags of sequences are none. */
function masksOf(prediction: FilePrediction): readonly { readonly output: string; readonly mask: Tensor }[] {
  const all =
    "masks" in prediction
      ? Object.entries(prediction.masks)
      : "outputs" in prediction
        ? Object.entries(prediction.outputs).flatMap(([name, own]) =>
            "mask" in own
              ? [[name, own.mask] as const]
              : "masks" in own
                ? Object.entries(own.masks).map(([label, mask]) => [`${name}/${label}`, mask] as const)
                : [],
          )
        : [];
  return all.flatMap(([output, mask]) => (mask.shape.length === 2 ? [{ output, mask }] : []));
}

async function requireEmpty(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  if (entries.length === 0) return;
  throw new UsageError(
    `${optionName("out")} ${folder}: expected a new or empty folder, got one that holds ${entries.length} files.`,
    "out-exists",
    "out",
  );
}
