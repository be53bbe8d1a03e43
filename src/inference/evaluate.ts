import type { Checkpoint, Weights } from "../checkpoint.ts";
import { inputsInOrder } from "../data/arrays.ts";
import type { ArrayDataset, Dataset, FileDataset, StoredDataset } from "../data/dataset.ts";
import { labelOf, onlyTarget, storedDataset } from "../data/dataset.ts";
import type { FileOptions } from "../data/model-files.ts";
import { fileReader } from "../data/model-files.ts";
import { sampleBatches } from "../data/sample-batches.ts";
import type { BadFile } from "../data/sample-reader.ts";
import { tf } from "../engine/tf.ts";
import { UsageError } from "../errors.ts";
import { trainableWeights } from "../freeze/trainable-weights.ts";
import { uploadRows } from "../model/uploads.ts";
import type { LossArgument } from "../task/loss-argument.ts";
import type { Loss } from "../task/losses.ts";
import { lossOf } from "../task/losses.ts";
import type { Output } from "../task/model-output.ts";
import { activated } from "../task/model-output.ts";
import { targetsOf } from "../task/targets.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";
import { activityPenalty } from "../training/activity-penalties.ts";
import { storedPenaltyTotal } from "../training/regularizers.ts";
import { weightPenalties } from "../training/weight-rules.ts";
import type { Classifier } from "./classifier.ts";
import { openClassifier } from "./classifier.ts";

export interface EvaluateOptions extends FileOptions {
  /** By the output: categorical or binary cross-entropy. */
  readonly loss?: LossArgument;
}

export interface Evaluation {
  /** Samples that were judged, whatever they are. */
  readonly samples: number;
  /** Mean over the samples, with what regularizers add to it, as Keras's `evaluate`. */
  readonly loss: number;
  /** Each metric by its Keras name. */
  readonly metrics: Readonly<Record<string, number>>;
  /** `confusion[truth][predicted]`, in output order. */
  readonly confusion: readonly (readonly number[])[];
  /** Class names in output order; numbers where nothing names them. */
  readonly labels: readonly string[];
  /** Files that could not be used. */
  readonly bad: readonly BadFile[];
}

interface Rows {
  readonly inputs: readonly InputTensor[];
  /** Class indices in output order. */
  readonly truth: readonly number[];
}

/**
 * How well a classifier does on every sample of `given`, whatever its split, in inference mode. Pictures are preprocessed as
 * their file or family says; classes are matched to the model's by name where the model knows its labels.
 * @throws {UsageError} for a model that is no classifier, or classes that are not the model's.
 * @throws {DataError} where no file can be used.
 */
export async function evaluate(
  checkpoint: Checkpoint,
  given: Dataset,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const dataset = storedDataset(given);
  const classifier = await openClassifier(checkpoint, { activities: true });
  const bad: BadFile[] = [];
  try {
    const labels = labelsOf(checkpoint, dataset, classifier.units);
    const loss = lossOf(options.loss ?? defaultLoss(classifier.units));
    const penalty = penaltyOfWeights(classifier.graph, checkpoint.weights);
    const reduction = classifier.graph.activityPenalties?.reduction ?? "mean";
    const confusion = labels.map(() => labels.map(() => 0));
    let samples = 0;
    let lossSum = 0;
    const rows =
      dataset.kind === "arrays"
        ? arrayRows(dataset, classifier, options.batchSize ?? 32)
        : fileRows(dataset, classifier, checkpoint, labels, options, bad);
    for await (const { inputs, truth } of rows) {
      const targets = targetsOf(truth, classifier.units, loss);
      classifier.run(inputs, (output, activities) => {
        lossSum += lossSumOf(loss, targets, output);
        lossSum += (penalty + activityPenalty(activities, reduction)) * truth.length;
        predictedClasses(output, classifier.units).forEach((predicted, row) => {
          confusion[truth[row]!]![predicted]!++;
        });
      });
      samples += truth.length;
      options.onProgress?.(samples + bad.length, sampleCount(dataset));
    }
    const correct = confusion.reduce((sum, row, label) => sum + row[label]!, 0);
    return {
      samples,
      labels,
      loss: lossSum / samples,
      metrics: { accuracy: correct / samples },
      confusion,
      bad,
    };
  } finally {
    classifier.dispose();
  }
}

/** What the regularized weights add, those that train by the file's own flags among them. */
function penaltyOfWeights(graph: LayerGraph, weights: Weights): number {
  const frozen = graph.layers.filter((layer) => !layer.trainable).map((layer) => layer.path);
  const trainable = trainableWeights(graph, {
    frozen: new Set(frozen),
    bnMode: "follow",
    newLayers: new Set(),
  });
  return storedPenaltyTotal(weightPenalties(graph, trainable), weights);
}

function defaultLoss(units: number): string {
  return units === 1 ? "binary_crossentropy" : "categorical_crossentropy";
}

function labelsOf(checkpoint: Checkpoint, dataset: Dataset, units: number): readonly string[] {
  const classes = Math.max(2, units);
  const own = checkpoint.notes.labels;
  if (own) {
    const strange = dataset.classNames?.find((name) => !own.includes(name));
    if (strange === undefined) return own;
    throw new UsageError(
      `data has class "${strange}" that the model lacks. It knows ${listed(own)}.`,
      "data-extra-class",
    );
  }
  const names = dataset.classNames ?? Array.from({ length: classes }, (_, index) => String(index));
  if (names.length === classes) return names;
  throw new UsageError(
    `data: expected ${classes} classes, as the model has outputs, got ${names.length}: ${listed(names)}.`,
    "class-count",
  );
}

function listed(names: readonly string[]): string {
  return names.length > 10
    ? `${names.slice(0, 10).join(", ")} and ${names.length - 10} more`
    : names.join(", ");
}

function sampleCount(dataset: StoredDataset): number {
  return dataset.kind === "arrays" ? onlyTarget(dataset.targets).shape[0]! : dataset.samples.length;
}

async function* fileRows(
  dataset: FileDataset,
  { graph }: Classifier,
  checkpoint: Checkpoint,
  labels: readonly string[],
  options: EvaluateOptions,
  bad: BadFile[],
): AsyncGenerator<Rows> {
  const reader = fileReader(dataset.kind, graph, checkpoint.notes, options);
  const batches = sampleBatches(dataset.samples, reader, {
    batchSize: options.batchSize ?? 32,
    strict: options.strictData,
    onSample: ({ path, reason }) => {
      if (reason !== undefined) bad.push({ path, reason });
    },
  });
  for await (const { input, indices } of batches) {
    const names = indices.map((index) => dataset.classNames[labelOf(dataset.samples[index]!)]!);
    yield { inputs: [input], truth: names.map((name) => labels.indexOf(name)) };
  }
}

async function* arrayRows(
  dataset: ArrayDataset,
  { graph }: Classifier,
  batchSize: number,
): AsyncGenerator<Rows> {
  const names = graph.inputs.map((input) => input.name);
  const inputs = inputsInOrder(dataset.inputs, names);
  const truth = classIndices(onlyTarget(dataset.targets));
  for (let from = 0; from < truth.length; from += batchSize) {
    const to = Math.min(from + batchSize, truth.length);
    yield { inputs: inputs.map((input) => rowsOf(input, from, to)), truth: truth.slice(from, to) };
  }
}

/** `[N]` or `[N, 1]` of class indices, or one-hot `[N, K]`. */
function classIndices({ shape, data }: Tensor): number[] {
  const values = Array.from(data as ArrayLike<number | bigint>, Number);
  const width = values.length / shape[0]!;
  if (width === 1) return values;
  return Array.from({ length: shape[0]! }, (_, row) => {
    const own = values.slice(row * width, (row + 1) * width);
    return own.indexOf(Math.max(...own));
  });
}

function rowsOf(tensor: InputTensor, from: number, to: number): InputTensor {
  const shape = [to - from, ...tensor.shape.slice(1)];
  const width = tensor.data.length / tensor.shape[0]!;
  return tensor.dtype === "string"
    ? { ...tensor, shape, data: tensor.data.slice(from * width, to * width) }
    : { ...tensor, shape, data: tensor.data.subarray(from * width, to * width) };
}

function lossSumOf(loss: Loss, targets: Tensor, output: Output): number {
  const sum = tf.tidy(() => tf.sum(loss.perSample(uploadRows(targets, 0, targets.shape[0]!), output)));
  const [value] = sum.dataSync();
  sum.dispose();
  return value!;
}

function predictedClasses(output: Output, units: number): number[] {
  const classes = tf.tidy(() =>
    units === 1
      ? tf.cast(tf.greater(tf.reshape(activated(output), [-1]), 0.5), "int32")
      : tf.argMax(output.values, -1),
  );
  const indices = Array.from(classes.dataSync());
  classes.dispose();
  return indices;
}
