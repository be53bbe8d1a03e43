import type { Checkpoint } from "../checkpoint.ts";
import type { ArrayDataset, FileDataset, StoredDataset } from "../data/dataset.ts";
import { labelOf, onlyTarget } from "../data/dataset.ts";
import { decideHead } from "../head/kept-head.ts";
import { replaceHead } from "../head/replace-head.ts";
import { optionError } from "../options.ts";
import { isClassification } from "../task/losses.ts";
import { areOfPositions, classCount, outputShape } from "../task/targets.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { classifierOf } from "../topology/head-of.ts";
import { requireSupported } from "../topology/support.ts";
import { parameterCount, weightSpecsOf } from "../topology/weights-of.ts";
import type { RunSettings } from "./settings.ts";

export interface HeadForData {
  readonly checkpoint: Checkpoint;
  /** Class names in output order. */
  readonly labels: readonly string[];
  /** The head that this run makes, where it makes one. */
  readonly newHead?: { readonly classes: number; readonly parametersBefore: number };
  readonly warning?: string;
}

/** Returns the checkpoint itself where its head serves the data's classes or the data has none, else one with a new head. */
export function withHeadFor(
  checkpoint: Checkpoint,
  classNames: readonly string[],
  { keepHead, classes, seed }: RunSettings,
): HeadForData {
  if (classes !== null && classes !== classNames.length) {
    throw optionError("classes", `${classNames.length}, the classes in the data`, classes, {
      code: "classes",
    });
  }
  const graph = layerGraph(checkpoint);
  requireSupported(graph);
  if (classNames.length === 0) return { checkpoint, labels: [] };
  const decision = decideHead(graph, {
    notes: checkpoint.notes,
    classNames,
    keepHead,
  });
  const { labels, warning } = decision;
  if (decision.keep) return { checkpoint, labels, ...(warning !== undefined && { warning }) };
  const head = classifierOf(graph)?.head.path;
  const parametersBefore = head === undefined ? 0 : parameterCount([weightSpecsOf(graph).get(head) ?? []]);
  return {
    checkpoint: replaceHead(checkpoint, { classes: classNames.length, seed }),
    labels,
    newHead: { classes: classNames.length, parametersBefore },
    ...(warning !== undefined && { warning }),
  };
}

/** Returns the dataset with its labels in the order of the model's output. */
export function inOutputOrder(dataset: FileDataset, labels: readonly string[]): FileDataset {
  const order = dataset.classNames.map((name) => labels.indexOf(name));
  if (order.some((index) => index < 0) || order.every((index, label) => index === label)) return dataset;
  return {
    ...dataset,
    classNames: labels,
    samples: dataset.samples.map((sample) => ({ ...sample, label: order[labelOf(sample)]! })),
  };
}

/**
 * Returns the names of the classes that the data tells apart, in its order; numbers where arrays name none, and none where the loss is no
 * classification or every position of the model's output has a class.
 */
export function classNamesOf(
  dataset: StoredDataset,
  { loss }: RunSettings,
  model: Checkpoint,
): readonly string[] {
  if (dataset.kind !== "arrays") return dataset.classNames;
  if (loss !== "auto" && !isClassification(loss)) return [];
  if (areOfPositions(onlyTarget(dataset.targets), outputShape(layerGraph(model)))) return [];
  return dataset.classNames ?? numbered(dataset);
}

function numbered({ targets }: ArrayDataset): string[] {
  return Array.from({ length: classCount(onlyTarget(targets)) }, (_, index) => String(index));
}
