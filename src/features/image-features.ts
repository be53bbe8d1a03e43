import type { Weights } from "../checkpoint.ts";
import type { ImageSample } from "../data/dataset.ts";
import type { LoadOptions } from "../data/images.ts";
import { loadImage } from "../data/images.ts";
import { DataError } from "../errors.ts";
import type { Partition } from "../freeze/partition.ts";
import type { Tensor } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { InputRows } from "./extract.ts";
import { extractRows } from "./extract.ts";

export interface ImageFeatures {
  /** One `[N, …]` for each frontier tensor. */
  readonly features: readonly Tensor[];
  readonly labels: readonly number[];
  readonly bad: readonly { readonly path: string; readonly reason: string }[];
}

export interface ImageFeatureOptions extends LoadOptions {
  /** Every batch is padded to this many pictures. */
  readonly batchSize: number;
  /** A picture that cannot be decoded is an error. */
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number) => void;
}

/** The frontier tensors of pictures, each run once; pictures that cannot be decoded are listed and left alone. */
export async function extractImages(
  graph: LayerGraph,
  partition: Partition,
  weights: Weights,
  samples: readonly ImageSample[],
  options: ImageFeatureOptions,
): Promise<ImageFeatures> {
  const labels: number[] = [];
  const bad: { path: string; reason: string }[] = [];
  let done = 0;
  const features = await extractRows(
    graph,
    partition,
    weights,
    decoded(samples, options, labels, bad),
    options.batchSize,
    (rows) => {
      done += rows;
      options.onProgress?.(done + bad.length);
    },
  );
  return { features, labels, bad };
}

async function* decoded(
  samples: readonly ImageSample[],
  options: ImageFeatureOptions,
  labels: number[],
  bad: { path: string; reason: string }[],
): AsyncGenerator<InputRows> {
  const [height, width] = options.imageSize;
  const row = height * width * 3;
  let buffer = new Float32Array(options.batchSize * row);
  let rows = 0;
  const take = (): InputRows => {
    const inputs = [
      { dtype: "float32" as const, shape: [rows, height, width, 3], data: buffer.subarray(0, rows * row) },
    ];
    buffer = new Float32Array(options.batchSize * row);
    rows = 0;
    return { inputs };
  };
  for (const sample of samples) {
    options.signal?.throwIfAborted();
    try {
      buffer.set(await loadImage(sample.path, options), rows * row);
    } catch (error) {
      if (!(error instanceof DataError) || options.strict) throw error;
      bad.push({ path: sample.path, reason: error.message });
      continue;
    }
    labels.push(sample.label);
    rows++;
    if (rows === options.batchSize) yield take();
  }
  if (rows > 0) yield take();
}
