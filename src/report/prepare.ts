import type { Checkpoint, PreprocessMode } from "../checkpoint.ts";
import type { ImageDataset, Split } from "../data/dataset.ts";
import { imageFolder } from "../data/image-folder.ts";
import { detectPreprocess, imageSizeOf } from "../data/input-images.ts";
import { UsageError } from "../errors.ts";
import type { CutModel } from "../features/cut.ts";
import { cutModel } from "../features/cut.ts";
import { readCheckpoint } from "../formats/checkpoint-file.ts";
import type { FinetunePlan } from "../freeze/plan.ts";
import { planLines } from "../freeze/plan-text.ts";
import { resolveFreeze } from "../freeze/resolve.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { replaceHead } from "../topology/head.ts";
import { requireSupported } from "../topology/support.ts";
import type { Loss } from "../training/losses.ts";
import { lossOf } from "../training/losses.ts";
import type { OptimizerConfig } from "../training/optimizer-config.ts";
import { optimizerConfig } from "../training/optimizer-config.ts";
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
  const dataset = typeof options.data === "string" ? await imageFolder(options.data) : options.data;
  if (dataset.kind !== "images") {
    throw new UsageError(
      "data: expected a folder of pictures, got arrays. Use createTrainer() for arrays.",
      "data-arrays",
    );
  }
  const checkpoint = withHeadFor(given, dataset.classNames, options);
  const graph = layerGraph(checkpoint);
  requireSupported(graph);
  const detected = detectPreprocess(graph, given.notes);
  const preprocess =
    options.preprocess === undefined || options.preprocess === "auto" ? detected.mode : options.preprocess;
  const resolution = resolveFreeze(graph, options.freeze, {
    bnMode: options.bnMode ?? "inference",
    newLayers: checkpoint.notes.newLayers ?? [],
  });
  const cut = cutModel(graph, resolution);
  const parts = cut.partition;
  const plan = planCut(graph, cut, resolution);
  const [output] = graph.outputs;
  const units = graph.nodes[output!.ref.node]!.outputs[output!.ref.output]!.shape!.at(-1)!;
  const newLayers = new Set(checkpoint.notes.newLayers ?? []);
  const onlyNew = [...parts.trainableWeights.keys()].every((path) => newLayers.has(path));
  return {
    checkpoint: { ...checkpoint, notes: { ...checkpoint.notes, labels: dataset.classNames, preprocess } },
    dataset,
    ...cut,
    plan,
    planLines: planLines(plan),
    frozen: resolution.frozen,
    imageSize: imageSizeOf(graph, given.notes, options.imageSize),
    preprocess,
    loss: lossOf(options.loss ?? (units === 1 ? "binary_crossentropy" : "categorical_crossentropy")),
    optimizer: optimizerConfig(options.optimizer ?? "Adam", options.learningRate ?? (onlyNew ? 1e-3 : 1e-4)),
    units,
    notes: [
      `data      ${dataset.classNames.length} classes, ${countOf(dataset, "train")} + ${countOf(dataset, "val")} images`,
      `pixels    ${preprocess} (${preprocess === detected.mode ? detected.reason : "as asked"})`,
    ],
    warnings: [
      ...resolution.warnings,
      ...(detected.warning && !options.preprocess ? [detected.warning] : []),
    ],
  };
}

async function openModel({ model, arch }: FinetuneOptions): Promise<Checkpoint> {
  if (typeof model !== "string") return model;
  return readCheckpoint(modelFileAt(model), { ...(arch !== undefined && { arch }) });
}

/** The checkpoint itself where its labels are the data's, or the caller keeps its head; else one with a new head. */
function withHeadFor(
  checkpoint: Checkpoint,
  classNames: readonly string[],
  { keepHead, classes, seed }: FinetuneOptions,
): Checkpoint {
  if (classes !== undefined && classes !== classNames.length) {
    throw new UsageError(
      `--classes: expected ${classNames.length}, the classes in the data, got ${classes}.`,
      "classes",
    );
  }
  const labels = checkpoint.notes.labels;
  const same =
    labels?.length === classNames.length && labels.every((label, index) => label === classNames[index]);
  if (keepHead || same) return checkpoint;
  return replaceHead(checkpoint, { classes: classNames.length, ...(seed !== undefined && { seed }) });
}

function countOf(dataset: ImageDataset, split: Split): number {
  return dataset.samples.filter((sample) => sample.split === split).length;
}
