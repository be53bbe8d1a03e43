import { basename } from "node:path";
import type { Checkpoint, CheckpointFormat, PreprocessMode } from "../checkpoint.ts";
import type { StoredDataset } from "../data/dataset.ts";
import { onlyTarget, sampleUnit, storedDataset } from "../data/dataset.ts";
import type { ImageOptions } from "../data/images.ts";
import { detectPreprocess } from "../data/input-images.ts";
import { dataFolder, fileReader, imageInput } from "../data/model-files.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { KerasFileError, UsageError } from "../errors.ts";
import { defaultCacheDirectory } from "../features/cache/feature-cache.ts";
import type { CutModel } from "../features/cut.ts";
import { cutCheckpoint } from "../features/cut.ts";
import { viewReader } from "../features/views/view-reader.ts";
import { readCheckpoint } from "../formats/checkpoint-file.ts";
import { defaultFormat, formatNamed, writingWarnings } from "../formats/formats.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import { planLines } from "../freeze/plan-text.ts";
import { optionName, optionSetTo } from "../options.ts";
import type { LossArgument } from "../task/loss-argument.ts";
import type { Loss } from "../task/losses.ts";
import { lossOf } from "../task/losses.ts";
import { outputShape, requireKnownClasses } from "../task/targets.ts";
import type { Shape, Tensor } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { optimizerConfig, optimizerWarnings } from "../training/optimizer-config.ts";
import { weightPenalties, weightRules } from "../training/weight-rules.ts";
import type { Augmentation } from "./augmentation.ts";
import { augmentationOf, drawsViews } from "./augmentation.ts";
import { costQuestion, countOf, freeBytesAt } from "./cost.ts";
import { modelFileAt } from "./folder.ts";
import { classNamesOf, inOutputOrder, withHeadFor } from "./head-for-data.ts";
import { planCut } from "./plan-finetune.ts";
import type { RunSettings } from "./settings.ts";

/** The settings of a run once the model and the data have decided what was left to them: what `args.json` records. */
export interface DecidedSettings
  extends Omit<
    RunSettings,
    "cache" | "imageSize" | "learningRate" | "loss" | "outputFormat" | "preprocess" | "views"
  > {
  readonly cache: string | false;
  /** `[height, width]`; null for data that is not images, as is `preprocess`. */
  readonly imageSize: readonly [number, number] | null;
  readonly preprocess: PreprocessMode | null;
  /** `auto` where the optimizer has a schedule. */
  readonly learningRate: number | "auto";
  readonly loss: LossArgument;
  /** Null where samples are not augmented. */
  readonly views: number | null;
  readonly outputFormat: CheckpointFormat;
}

/** A run with everything decided and nothing computed yet: what `--dry-run` prints. */
export interface PreparedRun extends CutModel {
  readonly settings: DecidedSettings;
  /** The model with its head for the data's classes. */
  readonly checkpoint: Checkpoint;
  readonly dataset: StoredDataset;
  readonly plan: FinetunePlan;
  /** The plan as text. */
  readonly planLines: readonly string[];
  /** Paths of the frozen layers. */
  readonly frozen: ReadonlySet<string>;
  /** Turns files, and views of them, into the model's input; null for arrays, which are taken as they are. */
  readonly reader: SampleReader | null;
  /** Null where samples are not augmented. */
  readonly augmentation: Augmentation | null;
  readonly loss: Loss;
  readonly optimizer: OptimizerConfig;
  /** Units of the output. */
  readonly units: number;
  /** Class names in output order. */
  readonly labels: readonly string[];
  /** Facts worth a line before the plan. */
  readonly messages: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads the model and lists the data, gives the model the head that the data needs, and cuts it where the policies say.
 * @throws {UsageError | TopologyError | KerasFileError | DataError} for whatever would stop the run, before anything is computed.
 */
export async function prepareRun(settings: RunSettings): Promise<PreparedRun> {
  const given = await openModel(settings);
  const data =
    typeof settings.data === "string" ? await dataFolder(given, settings.data) : storedDataset(settings.data);
  const headed = withHeadFor(given, classNamesOf(data, settings, given), settings);
  const { labels, newHead } = headed;
  const outputFormat =
    settings.outputFormat === "auto" ? defaultFormat(headed.checkpoint) : settings.outputFormat;
  const checkpoint = forRelease(headed.checkpoint, outputFormat, settings);
  const { classWeight } = settings;
  if (classWeight !== null && classWeight !== "balanced") requireKnownClasses(classWeight, labels);
  const dataset = data.kind === "arrays" ? data : inOutputOrder(data, labels);
  const { model, resolution, cut } = cutCheckpoint(checkpoint, {
    freeze: settings.freeze === "auto" ? undefined : settings.freeze,
    bnMode: settings.bnMode,
    headIsNew: newHead !== undefined,
    views: drawsViews(settings),
    kerasVersion: given.kerasVersion,
  });
  requireTrainable(cut);
  const { reader: plainReader, image } = inputOf(dataset, model, given, settings);
  const loss = settings.loss === "auto" ? defaultLoss(outputShape(model), dataset) : settings.loss;
  const augmentation = augmentationOf(settings, { model, cut, dataset, image, loss: lossOf(loss) });
  const reader =
    augmentation && image ? viewReader(image, augmentation.settings, augmentation.cutmix) : plainReader;
  const optimizer = optimizerOf(settings, cut, newHead ? (checkpoint.notes.newLayers ?? []) : []);
  const rate = optimizer.settings["learning_rate"];
  const decided: DecidedSettings = {
    ...settings,
    cache: settings.cache ?? defaultCacheDirectory(),
    imageSize: image?.imageSize ?? null,
    preprocess: image?.preprocess ?? null,
    learningRate: typeof rate === "number" ? rate : "auto",
    optimizer: { class_name: optimizer.className, config: optimizer.settings },
    loss,
    views: augmentation?.views ?? null,
    outputFormat,
  };
  const cost = await costQuestion(dataset, optimizer, decided, reader);
  const plan = planCut(model, cut, resolution, {
    ...(image && { imageSize: image.imageSize }),
    cost,
    augmentation: augmentation?.planned,
  });
  return {
    settings: decided,
    checkpoint: { ...checkpoint, notes: { ...checkpoint.notes, ...notesOf(labels, image, settings) } },
    dataset,
    ...cut,
    plan,
    planLines: planLines(plan, {
      ...(typeof settings.model === "string" && { model: basename(settings.model) }),
      origin: `Keras ${given.kerasVersion} ${given.format}`,
      ...(image && { preprocessing: `${image.preprocess} (${image.reason})` }),
      policy: resolution.summary,
      ...(newHead && { newHead }),
      samples: cost.trainSamples * (cost.views ?? 1) + cost.validationSamples,
      unit: sampleUnit(dataset),
      ...cacheContext(decided),
      batchSize: decided.batchSize,
    }),
    frozen: resolution.frozen,
    reader,
    augmentation,
    loss: lossOf(loss),
    optimizer,
    units: outputShape(model).at(-1) ?? 1,
    labels,
    messages: [dataLine(dataset, labels)],
    warnings: [
      headed.warning,
      ...resolution.warnings,
      image?.warning,
      ...optimizerWarnings(optimizer),
      ...(augmentation?.warnings ?? []),
      ...writingWarnings(headed.checkpoint, outputFormat, settings.outputKeras ? "early" : "current"),
    ].filter((message) => message !== undefined),
  };
}

/** Reads the model. A weight that is not a number would make every prediction and every gradient one. */
async function openModel({ model, arch }: RunSettings): Promise<Checkpoint> {
  const checkpoint =
    typeof model === "string"
      ? await readCheckpoint(modelFileAt(model), { ...(arch !== null && { arch }) })
      : model;
  for (const [path, layer] of checkpoint.weights) {
    for (const { name, data } of layer) {
      if (!(data instanceof Float32Array || data instanceof Float64Array)) continue;
      const strange = data.find((value) => !Number.isFinite(value));
      if (strange === undefined) continue;
      throw new KerasFileError(
        `${typeof model === "string" ? model : "model"}: ${path}/${name}: expected numbers, got ${strange}. Nothing can be trained on that; take an earlier file.`,
        "not-finite",
      );
    }
  }
  return checkpoint;
}

/** Returns the model as the Keras that will open it computes it, where an early one is asked for. */
function forRelease(
  checkpoint: Checkpoint,
  format: CheckpointFormat,
  { outputKeras }: RunSettings,
): Checkpoint {
  if (outputKeras === null) return checkpoint;
  const { forEarlyKeras3 } = formatNamed(format);
  if (forEarlyKeras3) return forEarlyKeras3(checkpoint);
  throw new UsageError(
    `${optionSetTo("outputKeras", outputKeras)}: expected the format keras, got ${format}. Remove ${optionName("outputKeras")} or ${optionName("outputFormat")}.`,
    "format",
    "outputKeras",
  );
}

/** Refuses what the training would refuse, before anything is extracted. */
function requireTrainable({ graph, partition }: CutModel): void {
  weightRules(graph, partition);
  weightPenalties(graph, partition.trainableWeights);
}

/**
 * Returns the optimizer with the run's options over its own, its rate 1e-3 where only new layers train, else 1e-4.
 * @throws {UsageError} for a schedule of the run beside one of the optimizer.
 */
function optimizerOf(
  settings: RunSettings,
  { partition }: CutModel,
  newLayers: readonly string[],
): OptimizerConfig {
  const { learningRate, schedule, warmup } = settings;
  const onlyNew = [...partition.trainableWeights.keys()].every((path) => newLayers.includes(path));
  const optimizer = optimizerConfig(
    settings.optimizer,
    {
      learningRate: learningRate === "auto" ? undefined : learningRate,
      momentum: settings.momentum ?? undefined,
      weightDecay: settings.weightDecay ?? undefined,
      clipNorm: settings.clipNorm ?? undefined,
      clipValue: settings.clipValue ?? undefined,
      globalClipNorm: settings.globalClipNorm ?? undefined,
      accumulate: settings.accumulate,
      ema: settings.ema ?? undefined,
    },
    onlyNew ? 1e-3 : 1e-4,
  );
  const isScheduled = typeof optimizer.settings["learning_rate"] !== "number";
  if (isScheduled && (schedule !== "constant" || warmup > 0)) {
    const option = schedule === "constant" ? "warmup" : "schedule";
    throw new UsageError(
      `${optionName(option)}: expected an optimizer whose rate is a number, got ${optimizer.className} with a schedule of its own. Remove one of the two.`,
      "two-schedules",
      option,
    );
  }
  return optimizer;
}

interface ImageInput extends Required<ImageOptions> {
  /** `ResNet by its layer names`, `as asked`. */
  readonly reason: string;
  readonly warning?: string;
}

function inputOf(
  dataset: StoredDataset,
  graph: LayerGraph,
  { notes }: Checkpoint,
  { imageSize, preprocess, exif }: RunSettings,
): { readonly reader: SampleReader | null; readonly image: ImageInput | null } {
  if (dataset.kind === "arrays") return { reader: null, image: null };
  const asked = { imageSize: imageSize === "auto" ? undefined : imageSize, preprocess, exif };
  const reader = fileReader(dataset.kind, graph, notes, asked);
  if (dataset.kind === "texts") return { reader, image: null };
  const input = imageInput(graph, notes, asked);
  const detected = detectPreprocess(graph, notes);
  const image = {
    ...input,
    reason: input.preprocess === detected.mode ? detected.reason : "as asked",
    ...(detected.warning !== undefined && preprocess === "auto" && { warning: detected.warning }),
  };
  return { reader, image };
}

function defaultLoss(output: Shape, dataset: StoredDataset): string {
  if (output.at(-1) === 1) return "binary_crossentropy";
  const targets: Tensor | null = dataset.kind === "arrays" ? onlyTarget(dataset.targets) : null;
  const indices =
    targets !== null && (targets.shape.length === output.length - 1 || targets.shape.at(-1) === 1);
  return indices ? "sparse_categorical_crossentropy" : "categorical_crossentropy";
}

function notesOf(
  labels: readonly string[],
  image: ImageInput | null,
  { bnMode }: RunSettings,
): Partial<Checkpoint["notes"]> {
  return {
    ...(labels.length > 0 && { labels }),
    ...(image && { preprocess: image.preprocess, imageSize: image.imageSize }),
    bnMode,
  };
}

function cacheContext({ cache, cacheDtype }: DecidedSettings): {
  cacheFolder?: string;
  freeBytes?: number;
  cacheDtype?: "float32" | "float16";
} {
  if (cache === false) return {};
  const freeBytes = freeBytesAt(cache);
  return { cacheFolder: cache, ...(freeBytes !== undefined && { freeBytes }), cacheDtype };
}

function dataLine(dataset: StoredDataset, labels: readonly string[]): string {
  const classes = labels.length > 0 ? `${labels.length} classes, ` : "";
  return `data      ${classes}${countOf(dataset, "train")} + ${countOf(dataset, "val")} ${sampleUnit(dataset)}`;
}
