import type { Weights } from "../checkpoint.ts";
import type { FileDataset, FileSample, Split } from "../data/dataset.ts";
import type { Duplicate, HashedSample } from "../data/duplicates.ts";
import { duplicatesOf, duplicateWarnings, hasCopies } from "../data/duplicates.ts";
import type { SampleView } from "../data/sample-batches.ts";
import type { EngineInfo } from "../engine/engine-info.ts";
import type { CutModel } from "../features/cut.ts";
import type { FeatureSource } from "../features/feature-source.ts";
import { openFeatureSource } from "../features/feature-source.ts";
import type { FileFeatures } from "../features/file-features.ts";
import type { SampleRows } from "../features/sample-rows.ts";
import { cutBox } from "../features/views/cutmix.ts";
import { outputSizes } from "../task/mask-targets.ts";
import { sampleTargets } from "../task/sample-targets.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { Examples } from "../training/example-set.ts";
import { examplesOf } from "../training/examples.ts";
import { lostClass, lostFolder } from "./lost-samples.ts";
import type { NamedExamples, PhaseExamples } from "./phase-examples.ts";
import { mixupOf, weightingOf } from "./phase-examples.ts";
import type { PreparedPhase } from "./phases.ts";
import type { PreparedRun } from "./prepared-run.ts";
import type { BoxMixing, TrainingViews } from "./view-features.ts";
import { freshViews, keptViews } from "./view-features.ts";
import type { ViewTargets } from "./view-targets.ts";
import { viewTargets } from "./view-targets.ts";

/** Source of the samples of a run's phases. */
export interface ExampleSource {
  /** Returns the samples at the cut of a phase, whose first epoch is `firstEpoch`. The caller disposes them. */
  open(phase: PreparedPhase, moved: Weights, firstEpoch: number): Promise<PhaseExamples>;
  /** Returns the validation samples at the earliest cut, which stay until `close`; null where there are none. */
  validation(): Promise<NamedExamples | null>;
  /** Samples and views that have gone through the part of the model that no phase trains. */
  extracted(): number;
  /** Samples with the bytes of another one, in another split or class. */
  duplicates(): readonly Duplicate[];
  close(): Promise<void>;
}

/**
 * Opens the files of a run. The features of the earliest cut are computed once and held; those of later cuts are computed from them,
 * through the weights that earlier phases have left.
 */
export async function fileExamples(
  run: PreparedRun,
  dataset: FileDataset,
  engine: EngineInfo,
  weightsAfter: (moved: Weights) => Weights,
): Promise<ExampleSource> {
  const { settings } = run;
  const warned = new Set<string>();
  const source = (
    cut: CutModel,
    moved: Weights,
    cache: string | false,
    earlier?: FeatureSource,
  ): Promise<FeatureSource> =>
    openFeatureSource(cut, weightsAfter(moved), engine, {
      reader: run.reader!,
      views: run.augmentation?.settings,
      strict: settings.strictData,
      cache,
      cacheMax: settings.cacheMax,
      hashOf: run.files?.hashOf,
      batchSize: run.extractionBatch,
      storage: settings.cacheDtype,
      earlier,
      signal: settings.signal ?? undefined,
      onWarning: (message) => {
        if (!warned.has(message)) settings.onProgress({ kind: "warning", message });
        warned.add(message);
      },
    });
  const isEarliest = ({ partition }: CutModel): boolean => partition === run.partition;
  const held = run.phases.length > 1 ? holding(await source(run, new Map(), settings.cache)) : null;
  let computed = 0;
  let copies: readonly Duplicate[] = [];
  return {
    open: async (phase, moved, firstEpoch) => {
      const own =
        isEarliest(phase) && held ? held : await source(phase, moved, settings.cache, held ?? undefined);
      const fresh = run.augmentation?.views === 0 ? await source(phase, moved, false) : own;
      try {
        const train = await trainingSplit(fresh, run, dataset, firstEpoch, phase.epochs);
        const val = await extractSplit(own, run, dataset, "val").catch((error: unknown) => {
          train.dispose();
          throw error;
        });
        if (!held) computed += train.views + val.views - train.cached - val.cached;
        if (phase.number === run.phases[0]?.number) copies = toldDuplicates(run, dataset, [train, val]);
        return await phaseExamples(run, dataset, train, val);
      } finally {
        if (own !== held) await own.close();
      }
    },
    validation: async () => {
      if (!held) return null;
      const val = await extractSplit(held, run, dataset, "val");
      if (val.indices.length === 0) return null;
      const examples = await splitExamples(run, dataset, "val", val.features, val.indices);
      return { examples, names: namesOf(dataset, val) };
    },
    extracted: () => held?.computed() ?? computed,
    duplicates: () => copies,
    close: async () => held?.release(),
  };
}

/** A source whose features stay until `release`: what is asked for again is there. */
interface HoldingSource extends FeatureSource {
  /** Samples and views that were computed, not read. */
  computed(): number;
  release(): Promise<void>;
}

function holding(source: FeatureSource): HoldingSource {
  const all: { readonly samples: readonly SampleView[]; readonly found: FileFeatures }[] = [];
  const isSame = (some: readonly SampleView[], others: readonly SampleView[]): boolean =>
    some.length === others.length &&
    some.every(({ path, view }, index) => path === others[index]?.path && view === others[index]?.view);
  return {
    ...source,
    extract: async (samples, onProgress) => {
      const known = all.find((each) => isSame(each.samples, samples));
      const found = known?.found ?? (await source.extract(samples, onProgress));
      if (!known) all.push({ samples, found });
      return { ...found, dispose: () => {} };
    },
    computed: () => all.reduce((sum, { found }) => sum + found.indices.length - found.cached, 0),
    close: async () => {},
    release: async () => {
      for (const { found } of all) found.dispose();
      await source.close();
    },
  };
}

function namesOf(dataset: FileDataset, { indices }: SplitFeatures): readonly string[] {
  const samples = samplesOf(dataset, "val");
  return indices.map((index) => samples[index]?.path ?? String(index));
}

/** Warns of samples with the same bytes in two splits or classes, and returns them. */
function toldDuplicates(
  { settings }: PreparedRun,
  dataset: FileDataset,
  splits: readonly Pick<SplitFeatures, "split" | "indices" | "contentHashes">[],
): readonly Duplicate[] {
  // Nearly no data has copies, and then nothing more has to be made of very many samples.
  if (!hasCopies(splits.map(({ contentHashes }) => contentHashes))) return [];
  const hashed = splits.flatMap(({ split, indices, contentHashes }) => {
    const samples = samplesOf(dataset, split);
    return indices.flatMap((index, row): HashedSample[] => {
      const [sample, contentHash] = [samples[index], contentHashes[row]];
      return sample && contentHash !== undefined ? [{ ...sample, contentHash }] : [];
    });
  });
  for (const message of duplicateWarnings(hashed, dataset.classNames, dataset.kind)) {
    settings.onProgress({ kind: "warning", message });
  }
  return duplicatesOf(hashed);
}

/** A split's features, and the callback that exchanges them where they have views. */
type SplitFeatures = Omit<TrainingViews, "callback"> & {
  readonly split: Split;
  readonly callback?: Callback;
};

async function phaseExamples(
  run: PreparedRun,
  dataset: FileDataset,
  train: SplitFeatures,
  val: SplitFeatures,
): Promise<PhaseExamples> {
  const examplesFor = ({ split, features, indices }: SplitFeatures): Promise<Examples> =>
    splitExamples(run, dataset, split, features, indices);
  const [training, held] = [await examplesFor(train), await examplesFor(val)];
  return {
    train: training,
    validation: val.indices.length > 0 ? held : null,
    validationNames: namesOf(dataset, val),
    callbacks: [...(train.callback ? [train.callback] : []), ...mixupOf(run)],
    bad: [...train.bad, ...val.bad],
    samples: train.views + val.views,
    bytes: train.bytes + val.bytes,
    dispose: () => {
      train.dispose();
      val.dispose();
    },
  };
}

async function trainingSplit(
  source: FeatureSource,
  run: PreparedRun,
  dataset: FileDataset,
  firstEpoch: number,
  epochCount: number,
): Promise<SplitFeatures> {
  const samples = samplesOf(dataset, "train");
  const views = run.augmentation?.views ?? null;
  const onProgress = extractionProgress(run, dataset);
  const epochs = { first: firstEpoch, last: firstEpoch + epochCount - 1 };
  const targetsOf = targetsOfViews(run);
  const found =
    views === null
      ? await extractSplit(source, run, dataset, "train")
      : views === 0
        ? await freshViews(source, samples, epochs, onProgress, { targetsOf, boxes: boxMixing(run) })
        : await keptViews(source, samples, views, epochs, onProgress, targetsOf);
  const hasClasses = dataset.targetColumns === undefined;
  const lost =
    lostFolder(dataset, found.bad) ??
    (hasClasses ? lostClass(dataset, samples, found.indices, found.bad) : undefined);
  if (!lost) return { ...found, split: "train" };
  found.dispose();
  throw lost;
}

async function extractSplit(
  source: FeatureSource,
  run: PreparedRun,
  dataset: FileDataset,
  split: Split,
): Promise<SplitFeatures> {
  const samples = samplesOf(dataset, split);
  const onProgress = extractionProgress(run, dataset);
  const found = await source.extract(samples, (done, cached) => onProgress(done, samples.length, cached));
  const lost = lostFolder(dataset, found.bad);
  if (lost) {
    found.dispose();
    throw lost;
  }
  const bytes = found.features.reduce((sum, each) => sum + each.byteLength, 0);
  return { ...found, split, views: found.indices.length, bytes };
}

function samplesOf({ samples }: FileDataset, split: Split): readonly FileSample[] {
  return samples.filter((sample) => sample.split === split);
}

function extractionProgress(
  { settings: { onProgress } }: PreparedRun,
  { kind: unit }: FileDataset,
): (done: number, total: number, cached: number) => void {
  return (done, total, cached) => onProgress({ kind: "extract", unit, done, total, cached });
}

async function splitExamples(
  run: PreparedRun,
  dataset: FileDataset,
  split: Split,
  features: readonly SampleRows[],
  indices: readonly number[],
): Promise<Examples> {
  const samples = samplesOf(dataset, split);
  const usable = indices.flatMap((index) => samples[index] ?? []);
  const { imageSize } = run.settings;
  const sizes = imageSize ? outputSizes(run.graph, imageSize) : [];
  const targets = await sampleTargets(dataset, usable, run.task, run.objective, sizes);
  return examplesOf(features, targets, weightingOf(run, split));
}

/** Returns what moves the targets of positions with the pixels of views; null where they stay. */
function targetsOfViews({ augmentation, settings: { imageSize }, graph }: PreparedRun): ViewTargets | null {
  if (!augmentation || !imageSize) return null;
  const hasPositions = outputSizes(graph, imageSize).some((size) => size !== null);
  return viewTargets(augmentation.settings, [...imageSize, 1], hasPositions);
}

/** Returns how the targets of an epoch are mixed where its images have boxes of others; undefined without cutmix. */
function boxMixing({ augmentation, settings }: PreparedRun): BoxMixing | undefined {
  const cutmix = augmentation?.cutmix;
  if (!cutmix || !settings.imageSize) return undefined;
  const { seed, imageSize } = { ...settings, imageSize: settings.imageSize };
  return {
    partnerOf: cutmix.partnerOf,
    keptOf: (contentHash, view) => cutBox({ contentHash, view, seed }, cutmix.alpha, imageSize).kept,
  };
}
