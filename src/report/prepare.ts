import { statfsSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import type { Checkpoint, PreprocessMode } from "../checkpoint.ts";
import type { ImageDataset, Split } from "../data/dataset.ts";
import { imageFolder } from "../data/image-folder.ts";
import type { ImageOptions } from "../data/images.ts";
import { loadImages } from "../data/images.ts";
import { detectPreprocess } from "../data/input-images.ts";
import { ensureEngine } from "../engine/backend.ts";
import { probeSpeed } from "../engine/speed-probe.ts";
import { UsageError } from "../errors.ts";
import { defaultCacheDirectory } from "../features/cache/feature-cache.ts";
import type { CutModel } from "../features/cut.ts";
import { cutModel } from "../features/cut.ts";
import { readCheckpoint } from "../formats/checkpoint-file.ts";
import type { CostQuestion } from "../freeze/cost.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import { planLines } from "../freeze/plan-text.ts";
import { resolveFreeze } from "../freeze/resolve.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { replaceHead } from "../topology/head.ts";
import { classifierOf } from "../topology/head-of.ts";
import { decideHead } from "../topology/kept-head.ts";
import { requireSupported } from "../topology/support.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";
import type { Loss } from "../training/losses.ts";
import { lossOf } from "../training/losses.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { optimizerConfig } from "../training/optimizer-config.ts";
import { updateRule } from "../training/update-rules.ts";
import type { PictureOptions } from "./picture-options.ts";
import { pictureInput } from "./picture-options.ts";
import { planCut } from "./plan-finetune.ts";
import type { FinetuneOptions } from "./run.ts";
import { modelFileAt } from "./run-folder.ts";

/** A run with everything decided and nothing computed yet: steps 1 to 6, what `--dry-run` prints. */
export interface PreparedRun extends CutModel {
  /** With its head for the data's classes. */
  readonly checkpoint: Checkpoint;
  readonly dataset: ImageDataset;
  readonly plan: FinetunePlan;
  /** The plan as text. */
  readonly planLines: readonly string[];
  readonly frozen: ReadonlySet<string>;
  readonly imageSize: readonly [number, number];
  readonly preprocess: PreprocessMode;
  readonly loss: Loss;
  readonly optimizer: OptimizerConfig;
  /** Units of the output. */
  readonly units: number;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/** @throws {UsageError | TopologyError | KerasFileError} for whatever would stop the run, before anything is computed. */
export async function prepareRun(options: FinetuneOptions): Promise<PreparedRun> {
  const given = await openModel(options);
  const folder = typeof options.data === "string" ? await imageFolder(options.data) : options.data;
  if (folder.kind !== "images") {
    throw new UsageError(
      "data: expected a folder of pictures, got arrays. Use createTrainer() for arrays.",
      "data-arrays",
    );
  }
  const { checkpoint, labels, newHead, warning } = withHeadFor(given, folder.classNames, options);
  const dataset = inOutputOrder(folder, labels);
  const graph = layerGraph(checkpoint);
  requireSupported(graph);
  const picture = pictureInput(graph, given.notes, pictureOptions(options));
  const detected = detectPreprocess(graph, given.notes);
  const bnMode = options.bnMode ?? "inference";
  const resolution = resolveFreeze(graph, options.freeze, {
    bnMode,
    newLayers: checkpoint.notes.newLayers ?? [],
    headIsNew: newHead !== undefined,
  });
  const cut = cutModel(graph, resolution);
  const newLayers = new Set(newHead === undefined ? [] : (checkpoint.notes.newLayers ?? []));
  const onlyNew = [...cut.partition.trainableWeights.keys()].every((path) => newLayers.has(path));
  const optimizer = optimizerConfig(
    options.optimizer ?? "Adam",
    options.learningRate ?? (onlyNew ? 1e-3 : 1e-4),
  );
  const classifier = classifierOf(graph);
  const units = classifier?.units ?? labels.length;
  const cost = await costQuestion(dataset, optimizer, options, picture);
  const plan = planCut(graph, cut, resolution, { imageSize: picture.imageSize, cost });
  const notes = { labels, preprocess: picture.preprocess, imageSize: picture.imageSize, bnMode };
  return {
    checkpoint: { ...checkpoint, notes: { ...checkpoint.notes, ...notes } },
    dataset,
    ...cut,
    plan,
    planLines: planLines(plan, {
      ...(typeof options.model === "string" && { model: basename(options.model) }),
      origin: `Keras ${given.kerasVersion} ${given.format}`,
      preprocessing: `${picture.preprocess} (${picture.preprocess === detected.mode ? detected.reason : "as asked"})`,
      policy: resolution.summary,
      ...(newHead && { newHead }),
      images: dataset.samples.length,
      ...cacheContext(options),
      batchSize: options.batchSize ?? 32,
    }),
    frozen: resolution.frozen,
    imageSize: picture.imageSize,
    preprocess: picture.preprocess,
    loss: lossOf(options.loss ?? (units === 1 ? "binary_crossentropy" : "categorical_crossentropy")),
    optimizer,
    units,
    notes: [
      `data      ${labels.length} classes, ${countOf(dataset, "train")} + ${countOf(dataset, "val")} images`,
    ],
    warnings: [
      ...(warning === undefined ? [] : [warning]),
      ...resolution.warnings,
      ...(detected.warning && (options.preprocess ?? "auto") === "auto" ? [detected.warning] : []),
    ],
  };
}

async function openModel({ model, arch }: FinetuneOptions): Promise<Checkpoint> {
  if (typeof model !== "string") return model;
  return readCheckpoint(modelFileAt(model), { ...(arch !== undefined && { arch }) });
}

interface HeadForData {
  readonly checkpoint: Checkpoint;
  /** Class names in output order. */
  readonly labels: readonly string[];
  /** Where this run makes one. */
  readonly newHead?: { readonly classes: number; readonly parametersBefore: number };
  readonly warning?: string;
}

/** The checkpoint itself where its head serves the data's classes, else one with a new head. */
function withHeadFor(
  checkpoint: Checkpoint,
  classNames: readonly string[],
  { keepHead, classes, seed }: FinetuneOptions,
): HeadForData {
  if (classes !== undefined && classes !== classNames.length) {
    throw new UsageError(
      `--classes: expected ${classNames.length}, the classes in the data, got ${classes}.`,
      "classes",
    );
  }
  const graph = layerGraph(checkpoint);
  requireSupported(graph);
  const decision = decideHead(graph, {
    notes: checkpoint.notes,
    classNames,
    ...(keepHead && { keepHead }),
  });
  const { labels, warning } = decision;
  if (decision.keep) return { checkpoint, labels, ...(warning !== undefined && { warning }) };
  const head = classifierOf(graph)?.head.path;
  const parametersBefore = head === undefined ? 0 : parameterCount([weightSpecsOf(graph).get(head) ?? []]);
  return {
    checkpoint: replaceHead(checkpoint, { classes: classNames.length, ...(seed !== undefined && { seed }) }),
    labels,
    newHead: { classes: classNames.length, parametersBefore },
    ...(warning !== undefined && { warning }),
  };
}

/** The dataset with labels counted as the model's output counts them. */
function inOutputOrder(dataset: ImageDataset, labels: readonly string[]): ImageDataset {
  const order = dataset.classNames.map((name) => labels.indexOf(name));
  if (order.some((index) => index < 0) || order.every((index, label) => index === label)) return dataset;
  return {
    ...dataset,
    classNames: labels,
    samples: dataset.samples.map((sample) => ({ ...sample, label: order[sample.label]! })),
  };
}

/** What the cost of the run depends on, with the speed of this machine measured now. */
async function costQuestion(
  dataset: ImageDataset,
  optimizer: OptimizerConfig,
  options: FinetuneOptions,
  picture: ImageOptions,
): Promise<CostQuestion> {
  await ensureEngine();
  const secondsPerImage = await decodingSeconds(dataset, picture);
  return {
    trainImages: countOf(dataset, "train"),
    validationImages: countOf(dataset, "val"),
    batchSize: options.batchSize ?? 32,
    optimizerSlots: Object.keys(updateRule(optimizer).slots).length,
    speed: { ...(await probeSpeed()), secondsPerImage },
    bytesPerValue: options.cacheDtype === "float16" ? 2 : 4,
  };
}

/** Of one picture, the first that decodes among a few; 0 where none does: the run will say so. */
async function decodingSeconds(dataset: ImageDataset, picture: ImageOptions): Promise<number> {
  for (const { path } of dataset.samples.slice(0, 3)) {
    const started = performance.now();
    const decoded = await loadImages([path], picture).catch(() => null);
    if (decoded) return (performance.now() - started) / 1000;
  }
  return 0;
}

function cacheContext({ cache, cacheDtype }: FinetuneOptions): {
  cacheFolder?: string;
  freeBytes?: number;
  cacheDtype?: "float32" | "float16";
} {
  if (cache === false) return {};
  const cacheFolder = cache ?? defaultCacheDirectory();
  const free = freeBytesAt(cacheFolder);
  return {
    cacheFolder,
    ...(free !== undefined && { freeBytes: free }),
    ...(cacheDtype !== undefined && { cacheDtype }),
  };
}

function freeBytesAt(folder: string): number | undefined {
  for (let place = resolve(folder); ; place = dirname(place)) {
    try {
      const { bavail, bsize } = statfsSync(place);
      return bavail * bsize;
    } catch {
      if (place === dirname(place)) return undefined;
    }
  }
}

function pictureOptions({ imageSize, preprocess, exif, strictData }: FinetuneOptions): PictureOptions {
  return { imageSize, preprocess, exif, strictData };
}

function countOf(dataset: ImageDataset, split: Split): number {
  return dataset.samples.filter((sample) => sample.split === split).length;
}
