import type { Weights } from "../checkpoint.ts";
import type { ImageSample } from "../data/dataset.ts";
import type { ImageOptions } from "../data/images.ts";
import { imageBatches } from "../data/images.ts";
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

export interface ImageFeatureOptions extends ImageOptions {
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
  if (samples.length === 0) return;
  const batches = imageBatches(samples, {
    ...options,
    onPicture: ({ path, reason }) => {
      if (reason !== undefined) bad.push({ path, reason });
    },
  });
  for await (const { images, indices } of batches) {
    options.signal?.throwIfAborted();
    labels.push(...indices.map((index) => samples[index]!.label));
    yield { inputs: [images] };
  }
}
