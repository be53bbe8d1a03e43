import type { InputTensor, Tensor } from "../tensor.ts";

export type Split = "train" | "val" | "test";

export interface FileSample {
  readonly path: string;
  /** Index into `classNames`. */
  readonly label: number;
  readonly split: Split;
}

/** Labelled files; nothing is read yet. */
export interface FileDataset {
  readonly kind: "images" | "texts";
  /** In code-point order of the train folders; the index is the label. */
  readonly classNames: readonly string[];
  readonly samples: readonly FileSample[];
}

export interface ImageDataset extends FileDataset {
  readonly kind: "images";
}

/** One file is one text. */
export interface TextDataset extends FileDataset {
  readonly kind: "texts";
}

/** Model inputs in order, or by input name. Each tensor's first dimension is the sample. */
export type ModelInputs = InputTensor | readonly InputTensor[] | Readonly<Record<string, InputTensor>>;

/** Arrays in memory, ready for the model: never preprocessed. */
export interface ArrayDataset {
  readonly kind: "arrays";
  readonly inputs: ModelInputs;
  /** Integers `[N]` or one-hot / real values `[N, K]`, as the loss takes them; with the output's positions between, if it has some. */
  readonly targets: Tensor;
  /** Held out; never trained on. */
  readonly validation?: { readonly inputs: ModelInputs; readonly targets: Tensor };
  readonly classNames?: readonly string[];
}

export type Dataset = FileDataset | ArrayDataset;

/** What a sample is called. */
export type SampleUnit = "images" | "texts" | "samples";

export function sampleUnit({ kind }: Dataset): SampleUnit {
  return kind === "arrays" ? "samples" : kind;
}
