/** The features of views of training samples, and how epochs take them in turn. */
import type { SampleView } from "../data/sample-batches.ts";
import { DataError } from "../errors.ts";
import type { FeatureSource } from "../features/feature-source.ts";
import type { FileFeatures } from "../features/file-features.ts";
import type { SampleRows } from "../features/sample-rows.ts";
import { selectRows } from "../features/sample-rows.ts";
import { viewOfEpoch, viewsOfEpochs } from "../features/views/view.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { Examples } from "../training/example-set.ts";
import type { Mixing } from "../training/mixing.ts";
import { withMixedTargets } from "../training/mixing.ts";
import type { ViewTargets } from "./view-targets.ts";

/**
 * Features of the training samples, whose views epochs take in turn: rows of the first epoch's view. `cached` counts all views that came
 * from the cache.
 */
export interface TrainingViews extends FileFeatures {
  /** Views that were extracted or read before the first epoch. */
  readonly views: number;
  readonly bytes: number;
  /** Gives each epoch its view. */
  readonly callback: Callback;
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
  targetsOf: ViewTargets | null,
): Promise<TrainingViews> {
  const used = viewsOfEpochs(first, last, count);
  const asked = samples.flatMap(({ path }) => used.map((view): SampleView => ({ path, view })));
  const found = await source.extract(asked, (done, cached) => onProgress(done, asked.length, cached));
  const byView = new Map<number, KeptView>(used.map((view) => [view, { rows: [], contentHashes: [] }]));
  const usable = new Map<number, number>();
  for (const [row, index] of found.indices.entries()) {
    const kept = byView.get(used[index % used.length] ?? -1);
    kept?.rows.push(row);
    kept?.contentHashes.push(found.contentHashes[row] ?? "");
    const sample = Math.floor(index / used.length);
    usable.set(sample, (usable.get(sample) ?? 0) + 1);
  }
  const torn = [...usable].find(([, views]) => views !== used.length);
  if (torn) {
    found.dispose();
    throw changed(samples[torn[0]]?.path ?? "data");
  }
  const keptOf = (epoch: number): KeptView & { readonly view: number } => {
    const view = viewOfEpoch(epoch, count);
    const kept = byView.get(view);
    if (!kept) throw new Error(`views: expected epoch ${epoch} to train on ${used.join(", ")}, got ${view}`);
    return { ...kept, view };
  };
  const featuresOf = ({ rows }: KeptView): readonly SampleRows[] =>
    found.features.map((each) => selectRows(each, rows));
  const targets = new Map<number, Promise<Examples["targets"]>>();
  return {
    features: featuresOf(keptOf(first)),
    indices: [...usable.keys()],
    contentHashes: keptOf(first).contentHashes,
    bad: found.bad,
    views: found.indices.length,
    cached: found.cached,
    bytes: byteLength(found),
    callback: {
      name: "views",
      examples: async (epoch, given) => {
        const kept = keptOf(epoch);
        const features = featuresOf(kept);
        if (!targetsOf) return { ...given, features };
        const own = targets.get(kept.view) ?? targetsOf(given.targets, kept.view, kept.contentHashes);
        targets.set(kept.view, own);
        return { ...given, features, targets: await own };
      },
    },
    dispose: found.dispose,
  };
}

/** One view of all samples: its rows among the features, and the content of each. */
interface KeptView {
  readonly rows: number[];
  readonly contentHashes: string[];
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
  { targetsOf, boxes }: { readonly targetsOf: ViewTargets | null; readonly boxes?: BoxMixing | undefined },
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
            const index = indices[strange] ?? held.found.indices.at(-1) ?? 0;
            throw changed(samples[index]?.path ?? "data");
          }
        }
        const view = viewOfEpoch(epoch, 0);
        const { features, contentHashes } = held.found;
        const targets = targetsOf ? await targetsOf(given.targets, view, contentHashes) : given.targets;
        const mixing = boxes && boxMixing(held.found, samples, view, boxes);
        const examples = { ...given, features, targets };
        return mixing ? withMixedTargets(examples, mixing) : examples;
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
  const paths = indices.map((index) => samples[index]?.path ?? "");
  const rows = new Map(paths.map((path, row) => [path, row]));
  const found = paths.map((path) => rows.get(partnerOf(path, view)));
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
