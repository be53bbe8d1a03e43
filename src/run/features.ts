import { inputsInOrder, sampleCount as samplesIn } from "../data/arrays.ts";
import type { ArrayDataset, Batch, FileDataset, FileSample, Split } from "../data/dataset.ts";
import { labelOf } from "../data/dataset.ts";
import { duplicateWarnings, type HashedSample } from "../data/duplicates.ts";
import { fileKinds } from "../data/file-kind.ts";
import type { BadFile } from "../data/sample-reader.ts";
import type { EngineInfo } from "../engine/backend.ts";
import { DataError } from "../errors.ts";
import { extractArrays } from "../features/array-features.ts";
import type { FeatureSource } from "../features/feature-source.ts";
import { extractionBatch, openFeatureSource } from "../features/feature-source.ts";
import type { SampleRows } from "../features/sample-rows.ts";
import { tensorRows } from "../features/sample-rows.ts";
import type { StaticProgram } from "../features/trunk.ts";
import { staticProgram } from "../features/trunk.ts";
import { cutBox } from "../features/views/cutmix.ts";
import { viewOfEpoch, viewsOfEpochs } from "../features/views/view.ts";
import { requireInputs } from "../task/inputs.ts";
import { outputSizes } from "../task/mask-targets.ts";
import { sampleTargets } from "../task/sample-targets.ts";
import { checkedTargets } from "../task/targets.ts";
import type { Callback } from "../training/callbacks/callback.ts";
import type { Examples } from "../training/example-set.ts";
import { sampleCount } from "../training/example-set.ts";
import { examplesOf } from "../training/examples.ts";
import { mixup } from "../training/mixing.ts";
import type { FeatureFigures } from "./options.ts";
import type { PreparedRun } from "./prepare.ts";
import type { BoxMixing, TrainingViews } from "./view-features.ts";
import { freshViews, keptViews } from "./view-features.ts";

/** The input of the training: every frontier tensor of every sample, and its target. */
export interface RunExamples {
  readonly train: Examples;
  /** Null without validation data. */
  readonly validation: Examples | null;
  /** Names of the validation samples: paths, or numbers from 0. */
  readonly validationNames: readonly string[];
  /** Exchange the training samples from epoch to epoch. */
  readonly callbacks: readonly Callback[];
  readonly figures: FeatureFigures;
  readonly bad: readonly BadFile[];
  /** Releases the features. */
  dispose(): void;
}

/** Runs the static part once on every sample or view, or reads from the cache what an earlier run kept. */
export async function runFeatures(run: PreparedRun, engine: EngineInfo): Promise<RunExamples> {
  const started = performance.now();
  const { dataset } = run;
  const { cached, samples, bytes, ...found } =
    dataset.kind === "arrays" ? await ofArrays(run, dataset, engine) : await ofFiles(run, dataset, engine);
  const seconds = (performance.now() - started) / 1000;
  return { ...found, figures: { samples, extracted: samples - cached, cached, bytes, seconds } };
}

type Found = Omit<RunExamples, "figures"> & Pick<FeatureFigures, "samples" | "cached" | "bytes">;

async function ofFiles(run: PreparedRun, dataset: FileDataset, engine: EngineInfo): Promise<Found> {
  const { settings } = run;
  const open = (cache: string | false): Promise<FeatureSource> =>
    openFeatureSource(run, run.checkpoint.weights, engine, {
      reader: run.reader!,
      views: run.augmentation?.settings,
      strict: settings.strictData,
      cache,
      cacheMax: settings.cacheMax,
      storage: settings.cacheDtype,
      signal: settings.signal ?? undefined,
      onWarning: (message) => settings.onProgress({ kind: "warning", message }),
    });
  const source = await open(settings.cache);
  try {
    const fresh = run.augmentation?.views === 0 ? await open(false) : source;
    const train = await trainingSplit(fresh, run, dataset);
    const val = await extractSplit(source, run, dataset, "val").catch((error: unknown) => {
      train.dispose();
      throw error;
    });
    warnOfDuplicates(run, dataset, [train, val]);
    const examplesFor = ({ split, features, indices }: SplitFeatures) =>
      splitExamples(run, dataset, split, features, indices);
    const [training, held] = [await examplesFor(train), await examplesFor(val)];
    return {
      train: training,
      validation: val.indices.length > 0 ? held : null,
      validationNames: val.indices.map((index) => samplesOf(dataset, "val")[index]?.path ?? String(index)),
      callbacks: [...(train.callback ? [train.callback] : []), ...mixupOf(run)],
      bad: [...train.bad, ...val.bad],
      cached: train.cached + val.cached,
      samples: train.views + val.views,
      bytes: train.bytes + val.bytes,
      dispose: () => {
        train.dispose();
        val.dispose();
      },
    };
  } finally {
    await source.close();
  }
}

function warnOfDuplicates(
  { settings }: PreparedRun,
  dataset: FileDataset,
  splits: readonly Pick<SplitFeatures, "split" | "indices" | "contentHashes">[],
): void {
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
}

/** A split's features, and the callback that exchanges them where they have views. */
type SplitFeatures = Omit<TrainingViews, "callback"> & {
  readonly split: Split;
  readonly callback?: Callback;
};

async function trainingSplit(
  source: FeatureSource,
  run: PreparedRun,
  dataset: FileDataset,
): Promise<SplitFeatures> {
  const { augmentation, settings } = run;
  const samples = samplesOf(dataset, "train");
  const views = augmentation?.views ?? null;
  const onProgress = extractionProgress(run, dataset);
  const epochs = { first: 1, last: settings.epochs };
  const found =
    views === null
      ? await extractSplit(source, run, dataset, "train")
      : views === 0
        ? await freshViews(source, samples, epochs, onProgress, boxMixing(run))
        : await keptViews(source, samples, views, epochs, onProgress);
  const hasClasses = dataset.targetColumns === undefined;
  const lost = hasClasses ? lostClass(dataset, samples, found.indices, found.bad) : undefined;
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

/** Returns the error for a class of which no file can be used: nothing would be learned of it. */
function lostClass(
  { classNames, kind }: FileDataset,
  samples: readonly FileSample[],
  usable: readonly number[],
  bad: readonly BadFile[],
): DataError | undefined {
  const learned = new Set(usable.map((index) => labelOf(samples[index]!)));
  const lost = samples.find((sample) => !learned.has(labelOf(sample)));
  if (lost === undefined) return undefined;
  const { length } = samples.filter(({ label }) => label === lost.label);
  const first = bad.find(({ path }) => path === lost.path);
  return new DataError(
    `class ${classNames[labelOf(lost)]}: expected ${fileKinds[kind].many} to train on, got ${length} that cannot be ${kind === "images" ? "decoded" : "read"}. The first is ${lost.path}: ${first?.reason ?? "cannot be read."}`,
    "all-bad",
  );
}

async function ofArrays(run: PreparedRun, dataset: ArrayDataset, engine: EngineInfo): Promise<Found> {
  const part = staticProgram(run, run.checkpoint.weights);
  const { validation } = dataset;
  const views = run.augmentation?.views ?? null;
  const used = views === null ? [0] : viewsOfEpochs(1, views === 0 ? 1 : run.settings.epochs, views);
  const byView = new Map<number, Examples>();
  for (const view of used) byView.set(view, await arraySplit(part, run, dataset, "train", engine, view));
  const held = validation && (await arraySplit(part, run, validation, "val", engine, 0));
  const train = byView.get(used.includes(1) ? 1 : 0)!;
  const extracted = [...byView.values(), ...(held ? [held] : [])];
  const examples = async (epoch: number, given: Examples): Promise<Examples> => {
    const view = viewOfEpoch(epoch, views ?? 1);
    const { features } = byView.get(view) ?? (await arraySplit(part, run, dataset, "train", engine, view));
    return { ...given, features };
  };
  return {
    train,
    validation: held ?? null,
    validationNames: Array.from({ length: held ? sampleCount(held) : 0 }, (_, index) => String(index)),
    callbacks: [...(views === null ? [] : [{ name: "views", examples }]), ...mixupOf(run)],
    bad: [],
    cached: 0,
    samples: extracted.reduce((sum, each) => sum + sampleCount(each), 0),
    bytes: extracted.flatMap(({ features }) => features).reduce((sum, each) => sum + each.byteLength, 0),
    dispose: () => {},
  };
}

async function arraySplit(
  part: StaticProgram,
  run: PreparedRun,
  batch: Batch,
  split: Split,
  engine: EngineInfo,
  view: number,
): Promise<Examples> {
  const names = run.graph.inputs.map((input) => input.name);
  const inputs = requireInputs(inputsInOrder(batch.inputs, names), run.graph);
  const total = samplesIn(batch.inputs);
  const targets = checkedTargets(run.objective, batch.targets, total, batch.sampleWeights);
  const features = await extractArrays(part, inputs, {
    batchSize: extractionBatch(engine),
    drawn: (run.augmentation?.views ?? null) === null ? undefined : { view, seed: run.settings.seed },
    signal: run.settings.signal ?? undefined,
    onProgress: (done) =>
      run.settings.onProgress({ kind: "extract", unit: "samples", done, total, cached: 0 }),
  });
  return examplesOf(features.map(tensorRows), targets, weightingOf(run, split));
}

function mixupOf({ augmentation, settings: { seed } }: PreparedRun): readonly Callback[] {
  const alpha = augmentation?.mixup ?? null;
  return alpha === null ? [] : [mixup({ alpha, seed })];
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

/** Returns the class weights, which count in training only. */
function weightingOf(run: PreparedRun, split: Split): Parameters<typeof examplesOf>[2] {
  const { classWeight } = run.settings;
  const { task, objective } = run;
  return split === "train" && classWeight ? { classWeight, task, objective } : undefined;
}
