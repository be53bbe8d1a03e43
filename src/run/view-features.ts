/** The features of views of training samples, and how epochs take them in turn. */
import type { SampleView } from "../data/sample-batches.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { DataError } from "../errors.ts";
import type { FeatureSource } from "../features/feature-source.ts";
import type { FileFeatures } from "../features/file-features.ts";
import type { SampleRows } from "../features/sample-rows.ts";
import { selectRows } from "../features/sample-rows.ts";
import { viewOfEpoch, viewsOfEpochs } from "../features/views/view.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { Mixing } from "../training/mixing.ts";
import { withMixedTargets } from "../training/mixing.ts";

/** Features of the training samples, whose views epochs take in turn. */
export interface TrainingViews {
  /** The view of the first epoch: rows for each frontier tensor. */
  readonly features: readonly SampleRows[];
  /** For each row, its index in the samples asked for. */
  readonly indices: readonly number[];
  /** For each row, the sha256 of its sample's bytes, in hexadecimal. */
  readonly contentHashes: readonly string[];
  readonly bad: readonly BadFile[];
  /** Views that were extracted or read before the first epoch, and how many of them came from the cache. */
  readonly views: number;
  readonly cached: number;
  readonly bytes: number;
  /** Gives each epoch its view. */
  readonly callback: Callback;
  dispose(): void;
}

interface Epochs {
  /** Counted from 1 over all phases, both included. */
  readonly first: number;
  readonly last: number;
}

type Progress = (done: number, total: number, cached: number) => void;

/** Extracts the views that the epochs need, once each; an epoch then takes its own. */
export async function keptViews(
  source: FeatureSource,
  samples: readonly { readonly path: string }[],
  count: number,
  { first, last }: Epochs,
  onProgress: Progress,
): Promise<TrainingViews> {
  const used = viewsOfEpochs(first, last, count);
  const asked = samples.flatMap(({ path }) => used.map((view): SampleView => ({ path, view })));
  const found = await source.extract(asked, (done, cached) => onProgress(done, asked.length, cached));
  const rows = new Map<number, number[]>(used.map((view) => [view, []]));
  const usable = new Map<number, number>();
  found.indices.forEach((index, row) => {
    rows.get(used[index % used.length]!)!.push(row);
    const sample = Math.floor(index / used.length);
    usable.set(sample, (usable.get(sample) ?? 0) + 1);
  });
  const torn = [...usable].find(([, views]) => views !== used.length);
  if (torn) {
    found.dispose();
    throw changed(samples[torn[0]]!.path);
  }
  const featuresOf = (view: number): readonly SampleRows[] =>
    found.features.map((each) => selectRows(each, rows.get(view)!));
  const firstRows = rows.get(used[0] ?? 0) ?? [];
  return {
    features: featuresOf(viewOfEpoch(first, count)),
    indices: [...usable.keys()],
    contentHashes: firstRows.flatMap((row) => found.contentHashes[row] ?? []),
    bad: found.bad,
    views: found.indices.length,
    cached: found.cached,
    bytes: byteLength(found),
    callback: {
      name: "views",
      examples: (epoch, given) => ({ ...given, features: featuresOf(viewOfEpoch(epoch, count)) }),
    },
    dispose: found.dispose,
  };
}

/** Index of the image that each image gets a box of, and the share of its own pixels that stays. */
export interface BoxMixing {
  partnerOf(path: string, view: number): string;
  keptOf(contentHash: string, view: number): number;
}

/** Extracts a fresh view of each sample in each epoch; `source` keeps none of them. Targets are mixed as the boxes are. */
export async function freshViews(
  source: FeatureSource,
  samples: readonly { readonly path: string }[],
  { first }: Pick<Epochs, "first">,
  onProgress: Progress,
  boxes?: BoxMixing,
): Promise<TrainingViews> {
  const extract = async (epoch: number): Promise<FileFeatures> => {
    const view = viewOfEpoch(epoch, 0);
    const asked = samples.map(({ path }) => ({ path, view }));
    return source.extract(asked, (done, cached) => onProgress(done, asked.length, cached));
  };
  let held = { epoch: first, found: await extract(first) };
  const { indices, bad } = held.found;
  return {
    features: held.found.features,
    indices,
    contentHashes: held.found.contentHashes,
    bad,
    views: indices.length,
    cached: 0,
    bytes: byteLength(held.found),
    callback: {
      name: "views",
      examples: async (epoch, given) => {
        if (epoch !== held.epoch) {
          held.found.dispose();
          held = { epoch, found: await extract(epoch) };
          const strange = indices.findIndex((index, row) => held.found.indices[row] !== index);
          if (strange >= 0 || held.found.indices.length !== indices.length) {
            throw changed(samples[indices[strange] ?? held.found.indices.at(-1)!]!.path);
          }
        }
        const mixing = boxes && boxMixing(held.found, samples, viewOfEpoch(epoch, 0), boxes);
        return { ...(mixing ? withMixedTargets(given, mixing) : given), features: held.found.features };
      },
    },
    dispose: () => held.found.dispose(),
  };
}

/** An image whose partner cannot be used has no box. */
function boxMixing(
  { indices, contentHashes }: FileFeatures,
  samples: readonly { readonly path: string }[],
  view: number,
  { partnerOf, keptOf }: BoxMixing,
): Mixing {
  const rows = new Map(indices.map((index, row) => [samples[index]!.path, row]));
  const found = indices.map((index) => rows.get(partnerOf(samples[index]!.path, view)));
  return {
    partners: found.map((partner, row) => partner ?? row),
    kept: Float32Array.from(contentHashes, (hash, row) =>
      found[row] === undefined ? 1 : keptOf(hash, view),
    ),
  };
}

function byteLength({ features }: FileFeatures): number {
  return features.reduce((sum, each) => sum + each.byteLength, 0);
}

function changed(path: string): DataError {
  return new DataError(
    `${path}: expected the bytes that the run began with, got others. Start the run again.`,
    "data-changed",
  );
}
