import { basename } from "node:path";
import type { Checkpoint, CheckpointFormat, PreprocessMode } from "../checkpoint.ts";
import type { StoredDataset } from "../data/dataset.ts";
import { onlyTarget, sampleUnit, storedDataset } from "../data/dataset.ts";
import type { ImageOptions } from "../data/images.ts";
import { detectPreprocess } from "../data/input-images.ts";
import { dataFolder, fileReader, imageInput } from "../data/model-files.ts";
import type { SampleReader } from "../data/sample-reader.ts";
import { UsageError } from "../errors.ts";
import type { CutModel } from "../features/cut.ts";
import { cutModel } from "../features/cut.ts";
import { defaultFormat, readCheckpoint } from "../formats/checkpoint-file.ts";
import { writingWarnings } from "../formats/dialect-writing.ts";
import { forEarlyKeras3 } from "../formats/keras/early-keras3.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import { planLines } from "../freeze/plan-text.ts";
import { resolveFreeze } from "../freeze/resolve.ts";
import type { Loss } from "../task/losses.ts";
import { lossOf } from "../task/losses.ts";
import { outputShape, requireKnownClasses } from "../task/targets.ts";
import type { Shape, Tensor } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { withActivityPenalties } from "../topology/rewrites/activity-penalties.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { optimizerConfig } from "../training/optimizer-config.ts";
import { weightPenalties, weightRules } from "../training/weight-rules.ts";
import { cacheContext, costQuestion, countOf } from "./cost.ts";
import { modelFileAt } from "./folder.ts";
import { classNamesOf, inOutputOrder, withHeadFor } from "./head-for-data.ts";
import { requireNumbers } from "./numbers.ts";
import type { FinetuneOptions } from "./options.ts";
import { planCut } from "./plan-finetune.ts";

/** A run with everything decided and nothing computed yet: steps 1 to 6, what `--dry-run` prints. */
export interface PreparedRun extends CutModel {
  /** With its head for the data's classes. */
  readonly checkpoint: Checkpoint;
  readonly dataset: StoredDataset;
  readonly plan: FinetunePlan;
  /** The plan as text. */
  readonly planLines: readonly string[];
  readonly frozen: ReadonlySet<string>;
  /** How files become the model's input; null for arrays, which are taken as they are. */
  readonly reader: SampleReader | null;
  /** Of a run on pictures. */
  readonly picture: PictureSettings | null;
  readonly loss: Loss;
  readonly optimizer: OptimizerConfig;
  /** What the tuned model is written as. */
  readonly format: CheckpointFormat;
  /** Units of the output. */
  readonly units: number;
  /** Class names in output order. */
  readonly labels: readonly string[];
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

export interface PictureSettings extends ImageOptions {
  readonly preprocess: PreprocessMode;
  /** `ResNet by its layer names`, `as asked`. */
  readonly reason: string;
  readonly warning?: string;
}

/** @throws {UsageError | TopologyError | KerasFileError | DataError} for whatever would stop the run, before anything is computed. */
export async function prepareRun(options: FinetuneOptions): Promise<PreparedRun> {
  const given = await openModel(options);
  requireNumbers(given.weights, typeof options.model === "string" ? options.model : "model");
  const data =
    typeof options.data === "string" ? await dataFolder(given, options.data) : storedDataset(options.data);
  const headed = withHeadFor(given, classNamesOf(data, options, given), options);
  const { labels, newHead, warning } = headed;
  const format = options.outputFormat ?? defaultFormat(headed.checkpoint);
  const checkpoint = forRelease(headed.checkpoint, format, options);
  const { classWeight } = options;
  if (classWeight !== undefined && classWeight !== "balanced") requireKnownClasses(classWeight, labels);
  const dataset = data.kind === "arrays" ? data : inOutputOrder(data, labels);
  const graph = layerGraph(checkpoint);
  const { reader, picture } = inputOf(dataset, graph, given, options);
  const bnMode = options.bnMode ?? "inference";
  const resolution = resolveFreeze(graph, options.freeze, {
    bnMode,
    newLayers: checkpoint.notes.newLayers ?? [],
    headIsNew: newHead !== undefined,
  });
  const cut = cutModel(withActivityPenalties(graph, given.kerasVersion), resolution);
  // Asked for its refusals alone, before anything is extracted.
  weightRules(cut.graph, cut.partition);
  weightPenalties(cut.graph, cut.partition.trainableWeights);
  const newLayers = new Set(newHead === undefined ? [] : (checkpoint.notes.newLayers ?? []));
  const onlyNew = [...cut.partition.trainableWeights.keys()].every((path) => newLayers.has(path));
  const optimizer = optimizerConfig(options.optimizer ?? "Adam", options.learningRate, onlyNew ? 1e-3 : 1e-4);
  const units = outputShape(graph).at(-1) ?? 1;
  const cost = await costQuestion(dataset, optimizer, options, reader);
  const plan = planCut(graph, cut, resolution, { ...(picture && { imageSize: picture.imageSize }), cost });
  return {
    checkpoint: { ...checkpoint, notes: { ...checkpoint.notes, ...notesOf(labels, picture), bnMode } },
    dataset,
    ...cut,
    plan,
    planLines: planLines(plan, {
      ...(typeof options.model === "string" && { model: basename(options.model) }),
      origin: `Keras ${given.kerasVersion} ${given.format}`,
      ...(picture && { preprocessing: `${picture.preprocess} (${picture.reason})` }),
      policy: resolution.summary,
      ...(newHead && { newHead }),
      images: countOf(dataset, "train") + countOf(dataset, "val"),
      unit: sampleUnit(dataset),
      ...cacheContext(options),
      batchSize: options.batchSize ?? 32,
    }),
    frozen: resolution.frozen,
    reader,
    picture,
    loss: lossOf(
      options.loss ??
        defaultLoss(outputShape(graph), dataset.kind === "arrays" ? onlyTarget(dataset.targets) : null),
    ),
    optimizer,
    format,
    units,
    labels,
    notes: [dataLine(dataset, labels)],
    warnings: [
      warning,
      ...resolution.warnings,
      picture?.warning,
      ...writingWarnings(headed.checkpoint, format, options.outputKeras ? "early" : "current"),
    ].filter((message) => message !== undefined),
  };
}

async function openModel({ model, arch }: FinetuneOptions): Promise<Checkpoint> {
  if (typeof model !== "string") return model;
  return readCheckpoint(modelFileAt(model), { ...(arch !== undefined && { arch }) });
}

/** The model as the Keras that will open it computes it, where an early one is asked for. */
function forRelease(
  checkpoint: Checkpoint,
  format: CheckpointFormat,
  { outputKeras }: FinetuneOptions,
): Checkpoint {
  if (outputKeras === undefined) return checkpoint;
  if (format === "keras") return forEarlyKeras3(checkpoint);
  throw new UsageError(
    `--keras ${outputKeras}: expected the format keras, got ${format}. Leave one of both out.`,
    "format",
  );
}

function inputOf(
  dataset: StoredDataset,
  graph: LayerGraph,
  { notes }: Checkpoint,
  { imageSize, preprocess, exif }: FinetuneOptions,
): Pick<PreparedRun, "reader" | "picture"> {
  if (dataset.kind === "arrays") return { reader: null, picture: null };
  const asked = { imageSize, preprocess, exif };
  const reader = fileReader(dataset.kind, graph, notes, asked);
  if (dataset.kind === "texts") return { reader, picture: null };
  const input = imageInput(graph, notes, asked);
  const detected = detectPreprocess(graph, notes);
  const asDetected = input.preprocess === detected.mode;
  const warned = detected.warning !== undefined && (preprocess ?? "auto") === "auto";
  const picture = {
    ...input,
    reason: asDetected ? detected.reason : "as asked",
    ...(warned && { warning: detected.warning! }),
  };
  return { reader, picture };
}

function defaultLoss(output: Shape, targets: Tensor | null): string {
  if (output.at(-1) === 1) return "binary_crossentropy";
  const indices =
    targets !== null && (targets.shape.length === output.length - 1 || targets.shape.at(-1) === 1);
  return indices ? "sparse_categorical_crossentropy" : "categorical_crossentropy";
}

function notesOf(labels: readonly string[], picture: PictureSettings | null): Partial<Checkpoint["notes"]> {
  return {
    ...(labels.length > 0 && { labels }),
    ...(picture && { preprocess: picture.preprocess, imageSize: picture.imageSize }),
  };
}

function dataLine(dataset: StoredDataset, labels: readonly string[]): string {
  const classes = labels.length > 0 ? `${labels.length} classes, ` : "";
  return `data      ${classes}${countOf(dataset, "train")} + ${countOf(dataset, "val")} ${sampleUnit(dataset)}`;
}
