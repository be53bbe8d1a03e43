import { DataError } from "../errors.ts";
import type { InputTensor, Tensor } from "../tensor.ts";
import type { MaskCoding } from "./mask-coding.ts";

export type Split = "train" | "val" | "test";

/**
 * The target of one sample in one column: a class index or a value; several label indices or values; or the path of a mask image.
 * The column's `TargetColumn.kind` says which.
 */
export type SampleTarget = number | readonly number[] | string;

/** One file with what is known about it. */
export interface FileSample {
  readonly path: string;
  readonly split: Split;
  /** Index into the dataset's `classNames`, where each sample has one class. */
  readonly label?: number;
  /** Targets by column name, in every sample or in none: see `FileDataset.targetColumns`. */
  readonly targets?: Readonly<Record<string, SampleTarget>>;
  /** Sample weight; 1 where absent. */
  readonly weight?: number;
  /** Samples of one group stay on one side of a split. */
  readonly group?: string;
}

/** The facts of one target column. What an output does with them is the task's decision. */
export interface TargetColumn {
  readonly name: string;
  /**
   * `classes`: one class per sample, an index into `classNames`. `labels`: zero or more classes per sample, a list of indices into
   * `classNames`. `numbers`: one number per sample. `vector`: a list of `size` numbers. `mask`: the path of an image with one class
   * per pixel.
   */
  readonly kind: "classes" | "labels" | "numbers" | "vector" | "mask";
  /** Class names in index order; absent for numbers and vectors. */
  readonly classNames?: readonly string[];
  /** True if every number is whole, so that it could be a class index; `numbers` and `vector` only. */
  readonly whole?: boolean;
  /** Length of a vector. */
  readonly size?: number;
  /** Names of a vector's values, where each is a column of the table. */
  readonly parts?: readonly string[];
  /** The class of each value in a mask. */
  readonly coding?: MaskCoding;
}

/** Files with labels or targets. Nothing is decoded yet. */
export interface FileDataset {
  readonly kind: "images" | "texts";
  /** Class names in label order: code-point order of the train folders. Empty where samples have no single class. */
  readonly classNames: readonly string[];
  readonly samples: readonly FileSample[];
  /** The columns of each sample's `targets`; absent where `label` alone is the target. */
  readonly targetColumns?: readonly TargetColumn[];
  /** Facts of how the data was read that a user should know, each without a period. */
  readonly remarks?: readonly string[];
  /** Warnings of what is doubtful in the data, each a sentence. */
  readonly warnings?: readonly string[];
}

export interface ImageDataset extends FileDataset {
  readonly kind: "images";
}

/** One sample is one text. */
export interface TextDataset extends FileDataset {
  readonly kind: "texts";
}

/** Model inputs in order, or by input name. Each tensor's first dimension is the sample. */
export type ModelInputs = InputTensor | readonly InputTensor[] | Readonly<Record<string, InputTensor>>;

/** Targets of a model's only output, of its outputs in order, or by output name. Each tensor's first dimension is the sample. */
export type ModelTargets = Tensor | readonly Tensor[] | Readonly<Record<string, Tensor>>;

/** Weights `[N]`, or one per position; for all outputs, for the outputs in order, or by output name. */
export type SampleWeights = Tensor | readonly Tensor[] | Readonly<Record<string, Tensor>>;

/** Samples in memory, ready for the model: nothing is preprocessed. */
export interface Batch {
  readonly inputs: ModelInputs;
  /**
   * Class indices `[N]`, one-hot or real values `[N, K]`, as the loss takes them; with the output's positions between where it
   * has some.
   */
  readonly targets: ModelTargets;
  readonly sampleWeights?: SampleWeights;
}

/** Arrays in memory. The samples themselves are trained on. */
export interface ArrayDataset extends Batch {
  readonly kind: "arrays";
  /** Held-out samples, never trained on. */
  readonly validation?: Batch;
  /** Samples that are evaluated at the end and reported apart. */
  readonly test?: Batch;
  readonly classNames?: readonly string[];
  /** Facts of the columns of a table that the targets come from. */
  readonly targetColumns?: readonly TargetColumn[];
  /** Facts of how the data was read that a user should know, each without a period. */
  readonly remarks?: readonly string[];
  /** Warnings of what is doubtful in the data, each a sentence. */
  readonly warnings?: readonly string[];
}

/** Batches that are made while they are read, so that a dataset may be larger than memory. Each iteration is one epoch. */
export interface BatchDataset extends AsyncIterable<Batch> {
  readonly kind: "batches";
  readonly validation?: AsyncIterable<Batch>;
  readonly classNames?: readonly string[];
}

export type Dataset = FileDataset | ArrayDataset | BatchDataset;

/** A dataset whose samples can be counted and read in any order. */
export type StoredDataset = FileDataset | ArrayDataset;

/** The word for a dataset's samples in messages. */
export type SampleUnit = "images" | "texts" | "samples";

export function sampleUnit({ kind }: Dataset): SampleUnit {
  return kind === "images" || kind === "texts" ? kind : "samples";
}

/** Returns the sample's class index. @throws {DataError} if the sample has no single class. */
export function labelOf({ path, label }: FileSample): number {
  if (label !== undefined) return label;
  throw new DataError(`${path}: label: expected one class, got none.`, "no-label");
}

/** Returns the only target tensor. @throws {DataError} if there are several. */
export function onlyTarget(targets: ModelTargets): Tensor {
  if (isOneTensor(targets)) return targets;
  const tensors = Object.values(targets);
  const [only] = tensors;
  if (only && tensors.length === 1) return only;
  throw new DataError(`targets: expected one array, got ${tensors.length}.`, "several-targets");
}

export function isOneTensor<T extends InputTensor>(
  value: T | readonly T[] | Readonly<Record<string, T>>,
): value is T {
  return !Array.isArray(value) && "dtype" in value && typeof value.dtype === "string";
}

/** Returns the dataset itself. @throws {DataError} for a dataset of batches, which has no samples to count or to reorder. */
export function storedDataset(dataset: Dataset): StoredDataset {
  if (dataset.kind !== "batches") return dataset;
  throw new DataError(
    "data: expected files or arrays, got batches. Pass their samples as arrays.",
    "batches",
  );
}
