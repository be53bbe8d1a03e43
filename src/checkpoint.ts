import type { Tensor } from "./tensor.ts";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A Keras variable: `name` is the variable's own (`kernel`), in Keras 3's vocabulary, without layer and without `:0`. */
export interface Weight extends Tensor {
  readonly name: string;
}

/** Weights by layer path (`conv1_conv`, nested `resnet50/conv1_conv`), each layer's in Keras 3's `layer.weights` order. */
export type Weights = ReadonlyMap<string, readonly Weight[]>;

export type CheckpointFormat = "keras" | "h5" | "weights.h5" | "tfjs";

export type PreprocessMode = "caffe" | "tf" | "torch" | "none";
export type BatchNormMode = "inference" | "follow" | "freeze" | "train";

/** What Keras has no place for and a second run or a moved file needs. */
export interface Notes {
  /** Class names in output order. */
  readonly labels?: readonly string[];
  readonly preprocess?: PreprocessMode;
  /** `[height, width]` in pixels. */
  readonly imageSize?: readonly [number, number];
  readonly bnMode?: BatchNormMode;
  /** Paths of the layers that a run created, the new head. */
  readonly newLayers?: readonly string[];
}

/** One model file as a value: what it says verbatim, and what follows from nothing else. */
export interface Checkpoint {
  readonly format: CheckpointFormat;
  /** The version that wrote the file, `"3.15.1"`; `"1"`, `"2"` or `"3"` where the file does not say more. */
  readonly kerasVersion: string;
  /**
   * The model's config as in the file: `{ class_name, config, … }` in the dialect of `kerasVersion`. Vocabularies
   * that a `.keras` keeps in files of their own stand in it as if they had been given to the layers.
   */
  readonly modelConfig: JsonObject;
  readonly weights: Weights;
  /** The file's compile config, verbatim. */
  readonly trainingConfig?: JsonObject;
  /** The optimizer's variables in file order, kept only while the model's own weights keep their shapes. */
  readonly optimizerWeights?: readonly Weight[];
  readonly notes: Notes;
}

/**
 * The checkpoint with some weights replaced, matched by layer path and name; each keeps its place in its layer. Values are
 * taken as they are: what was stored in another float type becomes float32.
 */
export function withWeights(checkpoint: Checkpoint, replaced: Weights): Checkpoint {
  const weights = new Map(checkpoint.weights);
  for (const [path, layer] of replaced) {
    const byName = new Map(layer.map((weight) => [weight.name, weight]));
    weights.set(
      path,
      (weights.get(path) ?? []).map((weight) => byName.get(weight.name) ?? weight),
    );
  }
  return { ...checkpoint, weights };
}
