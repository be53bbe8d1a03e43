import { availableParallelism } from "node:os";
import type { PreprocessMode } from "../checkpoint.ts";
import { DataError } from "../errors.ts";
import { float32Tensor, type Tensor } from "../tensor.ts";
import { type BadImage, type Channels, type DecodedImage, tryDecodeImage } from "./decode.ts";
import { preprocessPixels } from "./preprocess.ts";
import { resizeBilinear } from "./resize.ts";

/** What happens to a picture between its file and the model. */
export interface ImageOptions {
  /** `[height, width]` in pixels. */
  readonly imageSize: readonly [number, number];
  readonly preprocess: PreprocessMode;
  /** Turn pictures as their EXIF orientation says; true by default. */
  readonly exif?: boolean;
  /** 3 by default. */
  readonly channels?: Channels;
}

export interface ImageBatchOptions extends ImageOptions {
  readonly batchSize: number;
  /** Fail on the first picture that does not decode, instead of leaving it out. */
  readonly strict?: boolean;
  /** Told of each picture, in order, before the batch with it. */
  readonly onPicture?: (outcome: PictureOutcome) => void;
}

/** How one picture fared. */
export interface PictureOutcome {
  readonly path: string;
  /** Why it is left out; undefined if it is used. */
  readonly reason?: string;
  readonly rotated: boolean;
  readonly mislabelled: boolean;
}

export interface ImageBatch {
  /** float32 `[N, height, width, channels]`, preprocessed; owned by the receiver. */
  readonly images: Tensor;
  /** For each of the N, its index in the samples asked for. */
  readonly indices: readonly number[];
  /** For each of the N, the sha256 of the bytes that were decoded, in hexadecimal. */
  readonly contentHashes: readonly string[];
}

/**
 * The pictures as one float32 tensor `[N, height, width, channels]`, in the order asked for.
 *
 * @throws {DataError} naming each picture that does not decode.
 */
export async function loadImages(paths: readonly string[], options: ImageOptions): Promise<Tensor> {
  const [height, width] = options.imageSize;
  const channels = options.channels ?? 3;
  const size = height * width * channels;
  const data = new Float32Array(paths.length * size);
  const inTurn = limiter(decodeConcurrency());
  const outcomes = await Promise.all(
    paths.map((path, index) =>
      inTurn(() => loadImage(path, options, data.subarray(index * size, (index + 1) * size))),
    ),
  );
  const bad = outcomes.filter((outcome): outcome is BadImage => "reason" in outcome);
  if (bad.length > 0) throw badImagesError(bad, paths.length);
  return float32Tensor(data, [paths.length, height, width, channels]);
}

/**
 * Batches of pictures in the order of `samples`. A picture that does not decode is left out and the batch filled with the next, so
 * that every batch but the last has `batchSize`. Decodes ahead of the consumer by at most two batches.
 *
 * @throws {DataError} if no picture decodes, or with `strict` at the first that does not.
 */
export async function* imageBatches(
  samples: readonly { readonly path: string }[],
  options: ImageBatchOptions,
): AsyncGenerator<ImageBatch, void, void> {
  const size = options.imageSize[0] * options.imageSize[1] * (options.channels ?? 3);
  const bad: BadImage[] = [];
  let batch = emptyBatch(options, size);
  let used = 0;
  const pictures = decodeAhead(samples, options, size);
  try {
    for await (const { index, pixels, outcome } of pictures) {
      const path = samples[index]!.path;
      if ("reason" in outcome) {
        options.onPicture?.({ path, reason: outcome.reason, rotated: false, mislabelled: false });
        if (options.strict) throw badImagesError([outcome], samples.length);
        bad.push(outcome);
        continue;
      }
      options.onPicture?.({ path, rotated: outcome.rotated, mislabelled: outcome.mislabelled });
      batch.data.set(pixels, batch.indices.length * size);
      batch.indices.push(index);
      batch.contentHashes.push(outcome.contentHash);
      used++;
      if (batch.indices.length === options.batchSize) {
        yield finishBatch(batch, options, size);
        batch = emptyBatch(options, size);
      }
    }
  } finally {
    await pictures.return();
  }
  if (batch.indices.length > 0) yield finishBatch(batch, options, size);
  if (used === 0 && samples.length > 0) throw badImagesError(bad, samples.length);
}

/** How many pictures were used, and which need a word: what a run reports. */
export interface PictureTally {
  readonly used: number;
  readonly rotated: number;
  readonly mislabelled: readonly string[];
  readonly bad: readonly BadImage[];
}

/** Collects outcomes; a picture told of twice (two epochs) counts once. */
export function tallyPictures(): { add(outcome: PictureOutcome): void; tally(): PictureTally } {
  const outcomes = new Map<string, PictureOutcome>();
  return {
    add: (outcome) => void outcomes.set(outcome.path, outcome),
    tally() {
      const all = [...outcomes.values()];
      const used = all.filter((outcome) => outcome.reason === undefined);
      return {
        used: used.length,
        rotated: used.filter((outcome) => outcome.rotated).length,
        mislabelled: used.filter((outcome) => outcome.mislabelled).map((outcome) => outcome.path),
        bad: all.flatMap(({ path, reason }) => (reason === undefined ? [] : [{ path, reason }])),
      };
    },
  };
}

type Loaded = BadImage | Omit<DecodedImage, "pixels">;

interface Picture {
  readonly index: number;
  readonly pixels: Float32Array;
  readonly outcome: Loaded;
}

async function* decodeAhead(
  samples: readonly { readonly path: string }[],
  options: ImageBatchOptions,
  size: number,
): AsyncGenerator<Picture, void, void> {
  const ahead = Math.max(2 * options.batchSize, decodeConcurrency());
  const inTurn = limiter(decodeConcurrency());
  const pending: Promise<Picture | { readonly failure: unknown }>[] = [];
  let next = 0;
  let stopped = false;
  const load = (index: number) =>
    inTurn(async () => {
      const pixels = new Float32Array(stopped ? 0 : size);
      const path = samples[index]!.path;
      if (stopped) return { index, pixels, outcome: { path, reason: "not asked for any more." } };
      return { index, pixels, outcome: await loadImage(path, options, pixels) };
    }).catch((failure: unknown) => ({ failure }));
  try {
    while (next < samples.length || pending.length > 0) {
      while (next < samples.length && pending.length < ahead) pending.push(load(next++));
      const picture = await pending.shift()!;
      if ("failure" in picture) throw picture.failure;
      yield picture;
    }
  } finally {
    stopped = true;
    await Promise.all(pending);
  }
}

async function loadImage(path: string, options: ImageOptions, destination: Float32Array): Promise<Loaded> {
  const { exif = true, channels = 3 } = options;
  const image = await tryDecodeImage(path, { exif, channels });
  if ("reason" in image) return image;
  const { pixels, ...facts } = image;
  resizeBilinear(pixels, image, options.imageSize, destination);
  preprocessPixels(destination, options.preprocess, channels);
  return facts;
}

interface OpenBatch {
  readonly data: Float32Array;
  readonly indices: number[];
  readonly contentHashes: string[];
}

function emptyBatch(options: ImageBatchOptions, size: number): OpenBatch {
  return { data: new Float32Array(options.batchSize * size), indices: [], contentHashes: [] };
}

function finishBatch(batch: OpenBatch, options: ImageBatchOptions, size: number): ImageBatch {
  const count = batch.indices.length;
  const shape = [count, ...options.imageSize, options.channels ?? 3];
  return {
    images: float32Tensor(batch.data.subarray(0, count * size), shape),
    indices: batch.indices,
    contentHashes: batch.contentHashes,
  };
}

function badImagesError(bad: readonly BadImage[], total: number): DataError {
  const listed = bad.slice(0, 5).map(({ path, reason }) => `${path}: ${reason}`);
  const more = bad.length > 5 ? `\nand ${bad.length - 5} more` : "";
  const head = bad.length === 1 && total === 1 ? "" : `${bad.length} of ${total} pictures cannot be used:\n`;
  return new DataError(`${head}${listed.join("\n")}${more}`, "picture");
}

/** Each picture at full size is held by at most this many decodings at once. */
function decodeConcurrency(): number {
  return Math.min(availableParallelism(), 8);
}

/** Runs what it is given, at most `count` at a time, in the order given. */
function limiter(count: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running >= count) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await task();
    } finally {
      const resume = waiting.shift();
      if (resume) resume();
      else running--;
    }
  };
}
