import { stat } from "node:fs/promises";
import type { Checkpoint } from "../checkpoint.ts";
import { imageBatches } from "../data/images.ts";
import { listTree } from "../data/picture-listing.ts";
import { tf } from "../engine/tf.ts";
import { DataError } from "../errors.ts";
import { activated } from "../training/model-output.ts";
import { openClassifier } from "./classifier.ts";
import type { PictureOptions } from "./picture-options.ts";
import { pictureInput } from "./picture-options.ts";

export interface ClassProbability {
  /** The class's name, or its index where nothing names it. */
  readonly label: string;
  readonly index: number;
  readonly probability: number;
}

/** What a picture shows, the likeliest first. */
export interface PicturePrediction {
  readonly image: string;
  readonly predictions: readonly ClassProbability[];
}

export interface PredictImagesOptions extends PictureOptions {
  /** How many classes for each picture; 5. */
  readonly top?: number;
}

/**
 * What pictures show, in the order given; a path may be a folder, which means every picture in it and below. A picture found in
 * a folder that cannot be decoded is warned about and left out.
 * @throws {DataError} for a picture named by its path that cannot be decoded, and where there is none.
 */
export async function predictImages(
  checkpoint: Checkpoint,
  paths: readonly string[],
  options: PredictImagesOptions = {},
): Promise<PicturePrediction[]> {
  const found = await Promise.all(paths.map(picturesAt));
  const named = new Set(found.flatMap(({ folder, files }) => (folder ? [] : files)));
  const samples = found.flatMap(({ files }) => files.map((path) => ({ path })));
  if (samples.length === 0) {
    throw new DataError(`${paths.join(", ")}: expected pictures, got none.`, "no-images");
  }
  const classifier = await openClassifier(checkpoint);
  const labels = checkpoint.notes.labels;
  const predictions: PicturePrediction[] = [];
  let skipped = 0;
  try {
    const batches = imageBatches(samples, {
      ...pictureInput(classifier.graph, checkpoint.notes, options),
      onPicture: ({ path, reason }) => {
        if (reason === undefined) return;
        if (named.has(path)) throw new DataError(`${path}: ${reason}`, "picture");
        skipped++;
        options.onWarning?.(`${path}: ${reason} Skipped.`);
      },
    });
    for await (const { images, indices } of batches) {
      const outputs = classifier.run([images], (output) => {
        const values = tf.tidy(() => activated(output).clone());
        const data = values.dataSync();
        values.dispose();
        return data;
      });
      indices.forEach((sample, row) => {
        const own = Array.from(outputs.subarray(row * classifier.units, (row + 1) * classifier.units));
        predictions.push({
          image: samples[sample]!.path,
          predictions: ranked(own, labels, options.top ?? 5),
        });
      });
      options.onProgress?.(predictions.length + skipped, samples.length);
    }
  } finally {
    classifier.dispose();
  }
  return predictions;
}

function ranked(
  output: readonly number[],
  labels: readonly string[] | undefined,
  top: number,
): ClassProbability[] {
  const probabilities = output.length === 1 ? [1 - output[0]!, output[0]!] : output;
  return probabilities
    .map((probability, index) => ({ label: labels?.[index] ?? String(index), index, probability }))
    .sort((a, b) => b.probability - a.probability || a.index - b.index)
    .slice(0, top);
}

async function picturesAt(path: string): Promise<{ folder: boolean; files: readonly string[] }> {
  const found = await stat(path).catch(() => null);
  if (!found)
    throw new DataError(`${path}: expected a picture or a folder, got nothing there.`, "image-missing");
  if (!found.isDirectory()) return { folder: false, files: [path] };
  return { folder: true, files: [...(await listTree(path)).pictures].sort() };
}
