import type { Tensor } from "./tensor.ts";

/**
 * A JSON value. Objects and arrays that were read from a file remember how their numbers were written (`1.0`); copying
 * one with a spread keeps that.
 */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/**
 * A Keras variable. `name` is the variable's own name in Keras 3 (`kernel`), without the layer's name and without `:0`.
 */
export interface Weight extends Tensor {
  readonly name: string;
}

/**
 * Weights by layer path (`conv1_conv`, nested: `resnet50/conv1_conv`); each list has the order of Keras 3's
 * `layer.weights`.
 */
export type Weights = ReadonlyMap<string, readonly Weight[]>;

/**
 * Name of a file format: `.keras`, a whole model in `.h5`, weights alone in `.weights.h5`, a tfjs folder, a preset folder of KerasHub,
 * or ONNX. Each has its record
 * in `formats/formats.ts`.
 */
export type CheckpointFormat = "keras" | "h5" | "weights.h5" | "tfjs" | "hub" | "onnx";

/**
 * Pixel preprocessing: the modes of `keras/src/applications/imagenet_utils.py`; `"unit"` divides by 255; `"none"` leaves pixels in
 * [0, 255]; `"mean=123,117,104,std=58,57,57"` is (x - mean) / std on pixels in [0, 255], one number each or one per channel.
 */
export type PreprocessMode = "caffe" | "tf" | "torch" | "unit" | "none" | `mean=${string}` | `std=${string}`;

/** Returns mean and standard deviation of a mode `"mean=…,std=…"`, null for a text that does not have this form. */
export function pixelStatistics(
  mode: string,
): { readonly mean: readonly number[]; readonly std: readonly number[] } | null {
  const number = String.raw`-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?`;
  const list = `${number}(?:,${number})*`;
  const form = new RegExp(`^(?:mean=(?<mean>${list}))?(?:(?:^|,)std=(?<std>${list}))?$`, "i");
  const { mean, std } = form.exec(mode)?.groups ?? {};
  if (mean === undefined && std === undefined) return null;
  const numbers = (text: string | undefined, otherwise: number) =>
    text === undefined ? [otherwise] : text.split(",").map(Number);
  const found = { mean: numbers(mean, 0), std: numbers(std, 1) };
  return found.std.every((value) => value > 0) ? found : null;
}

/**
 * Behavior of pretrained BatchNormalization in training. Frozen layers use stored statistics in every mode but
 * `"train"`.
 *
 * - `"inference"`: stored statistics everywhere; gamma and beta of trainable layers train.
 * - `"follow"`: plain Keras; trainable layers use batch statistics and update their moving averages.
 * - `"freeze"`: stored statistics everywhere, and gamma and beta never train.
 * - `"train"`: every layer uses batch statistics and trains, frozen or not.
 */
export type BatchNormMode = "inference" | "follow" | "freeze" | "train";

/** Facts that a Keras file has no field for and that a second run, or a prediction with a moved file, needs. */
export interface Notes {
  /** Class names in output order. */
  readonly labels?: readonly string[];
  /** Preprocessing that the model's images need before the first layer. */
  readonly preprocess?: PreprocessMode;
  /** `[height, width]` in pixels. */
  readonly imageSize?: readonly [number, number];
  /** True if images lose their edges to have the proportions of the model's input; else they are stretched. */
  readonly crop?: boolean;
  /** KerasHub's preprocessor of texts with its vocabulary, in a plain model that has no other place for it. */
  readonly preprocessor?: JsonObject;
  /** BatchNormalization mode of the run that wrote the file. */
  readonly bnMode?: BatchNormMode;
  /** Paths of the layers that a run added (the new head); they are not pretrained. */
  readonly newLayers?: readonly string[];
}

/** A model file as a plain value: its config verbatim and its weights as typed arrays. */
export interface Checkpoint {
  /** The format it was read from. */
  readonly format: CheckpointFormat;
  /** Keras version that wrote the file, such as `"3.15.1"`; `"1"`, `"2"` or `"3"` if the file gives only that much. */
  readonly kerasVersion: string;
  /**
   * Model config as in the file: `{ class_name, config, … }` in the dialect of `kerasVersion`. Vocabularies that a
   * `.keras` archive stores in separate files are inlined as the layers' `vocabulary` arguments.
   */
  readonly modelConfig: JsonObject;
  readonly weights: Weights;
  /** Compile config of the file, verbatim. */
  readonly trainingConfig?: JsonObject;
  /** Optimizer variables in file order, absent after the head was replaced. */
  readonly optimizerWeights?: readonly Weight[];
  readonly notes: Notes;
}

/**
 * Returns a copy of the checkpoint with some weights replaced, matched by layer path and weight name. Each weight keeps
 * its position in its layer. Tensors are taken as given, dtype included: a float16 weight that was trained as float32
 * is float32 afterwards.
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
