import { inputsInOrder } from "../data/arrays.ts";
import type { ArrayDataset, Batch, FileDataset, FileSample, Split } from "../data/dataset.ts";
import { labelOf, onlyTarget } from "../data/dataset.ts";
import { fileKinds } from "../data/file-kind.ts";
import type { BadFile } from "../data/sample-reader.ts";
import type { EngineInfo } from "../engine/backend.ts";
import { DataError } from "../errors.ts";
import { extractArrays } from "../features/array-features.ts";
import type { FeatureSource } from "../features/feature-source.ts";
import { extractionBatch, openFeatureSource } from "../features/feature-source.ts";
import type { FileFeatures } from "../features/file-features.ts";
import { tensorRows } from "../features/sample-rows.ts";
import type { StaticProgram } from "../features/trunk.ts";
import { staticProgram } from "../features/trunk.ts";
import { outputShape, targetsFor, targetsOf } from "../task/targets.ts";
import type { Examples } from "../training/example-set.ts";
import { examplesOf } from "../training/examples.ts";
import type { FeatureFigures } from "./options.ts";
import type { PreparedRun } from "./prepare.ts";

/** The input of the training: every frontier tensor of every sample, and its target. */
export interface RunExamples {
  readonly train: Examples;
  /** Null without validation data. */
  readonly validation: Examples | null;
  readonly figures: FeatureFigures;
  readonly bad: readonly BadFile[];
  /** Releases the features. */
  dispose(): void;
}

/** Runs the static part once on every sample, or reads from the cache what an earlier run kept. */
export async function runFeatures(run: PreparedRun, engine: EngineInfo): Promise<RunExamples> {
  const started = performance.now();
  const { dataset } = run;
  const { cached, ...found } =
    dataset.kind === "arrays" ? await ofArrays(run, dataset, engine) : await ofFiles(run, dataset, engine);
  const parts = [found.train, ...(found.validation ? [found.validation] : [])];
  const samples = parts.reduce((sum, part) => sum + part.targets.shape[0]!, 0);
  const bytes = parts.flatMap((part) => part.features).reduce((sum, { byteLength }) => sum + byteLength, 0);
  const seconds = (performance.now() - started) / 1000;
  return { ...found, figures: { samples, extracted: samples - cached, cached, bytes, seconds } };
}

type Found = Omit<RunExamples, "figures"> & { readonly cached: number };

async function ofFiles(run: PreparedRun, dataset: FileDataset, engine: EngineInfo): Promise<Found> {
  const { settings } = run;
  const source = await openFeatureSource(run, run.checkpoint.weights, engine, {
    reader: run.reader!,
    strict: settings.strictData,
    cache: settings.cache,
    cacheMax: settings.cacheMax,
    storage: settings.cacheDtype,
    signal: settings.signal ?? undefined,
    onWarning: (message) => settings.onProgress({ kind: "warning", message }),
  });
  try {
    const train = await fileSplit(source, run, dataset, "train");
    const val = await fileSplit(source, run, dataset, "val").catch((error: unknown) => {
      train.dispose();
      throw error;
    });
    return {
      train: train.examples,
      validation: val.examples.targets.shape[0]! > 0 ? val.examples : null,
      bad: [...train.bad, ...val.bad],
      cached: train.cached + val.cached,
      dispose: () => {
        train.dispose();
        val.dispose();
      },
    };
  } finally {
    await source.close();
  }
}

async function fileSplit(
  source: FeatureSource,
  run: PreparedRun,
  dataset: FileDataset,
  split: Split,
): Promise<Pick<FileFeatures, "bad" | "cached" | "dispose"> & { readonly examples: Examples }> {
  const samples = dataset.samples.filter((sample) => sample.split === split);
  const { features, indices, ...rest } = await source.extract(samples, (done, fromCache) =>
    run.settings.onProgress({
      ...{ kind: "extract", unit: dataset.kind, done },
      ...{ total: samples.length, cached: fromCache },
    }),
  );
  const lost = split === "train" ? lostClass(dataset, samples, indices, rest.bad) : undefined;
  if (lost) {
    rest.dispose();
    throw lost;
  }
  const labels = indices.map((index) => labelOf(samples[index]!));
  const targets = targetsOf(labels, run.units, run.loss);
  return { ...rest, examples: examplesOf(features, targets, weightingOf(run, split)) };
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
  const train = await arraySplit(part, run, dataset, "train", engine);
  const held = validation && (await arraySplit(part, run, validation, "val", engine));
  return { train, validation: held ?? null, bad: [], cached: 0, dispose: () => {} };
}

async function arraySplit(
  part: StaticProgram,
  run: PreparedRun,
  batch: Batch,
  split: Split,
  engine: EngineInfo,
): Promise<Examples> {
  const { inputs } = batch;
  const targets = onlyTarget(batch.targets);
  const names = run.graph.inputs.map((input) => input.name);
  const total = targets.shape[0]!;
  const features = await extractArrays(part, inputsInOrder(inputs, names), {
    batchSize: extractionBatch(engine),
    signal: run.settings.signal ?? undefined,
    onProgress: (done) =>
      run.settings.onProgress({ kind: "extract", unit: "samples", done, total, cached: 0 }),
  });
  return examplesOf(
    features.map(tensorRows),
    targetsFor(targets, outputShape(run.graph), run.loss),
    weightingOf(run, split),
  );
}

/** Returns the class weights, which count in training only. */
function weightingOf(run: PreparedRun, split: Split): Parameters<typeof examplesOf>[2] {
  const { classWeight } = run.settings;
  return split === "train" && classWeight ? { classWeight, classNames: run.labels } : undefined;
}
