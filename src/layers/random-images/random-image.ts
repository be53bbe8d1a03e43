/**
 * @file The common form of random image layers
 * (`keras/src/layers/preprocessing/image_preprocessing/base_image_preprocessing_layer.py`): random numbers, and a
 * function of images and these numbers.
 */
import type { JsonObject } from "../../checkpoint.ts";
import { chosen } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { numberAt, numberList, stringAt } from "../../topology/config-values.ts";
import type { KerasMajor } from "../../topology/layer-graph.ts";
import { isChannelsFirst } from "../axes.ts";
import type { Kernel } from "../kernel.ts";
import { firstInput, unsupported } from "../kernel.ts";
import type { Reading } from "../numerics/affine.ts";
import type { Draws } from "./draws.ts";
import { drawsFrom } from "./draws.ts";

/** The shape of a batch of images, independent of the position of the channels. */
export interface ImageShape {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export type Drawn = boolean | number | string | tf.Tensor | readonly Drawn[] | Transformation | null;

/** The random numbers of one call. Those that differ between images have one entry for each. */
export type Transformation = { readonly [name: string]: Drawn };

export interface DrawCall {
  readonly shape: ImageShape;
  readonly config: JsonObject;
  readonly draws: Draws;
  /** The major version of the Keras that wrote the file, which decides on distributions. */
  readonly keras: KerasMajor;
}

/**
 * A layer's two halves, `get_random_transformation` and `transform_images`, which share the form of a transformation.
 */
export interface RandomImage {
  draw(call: DrawCall): Transformation;
  /** Transforms float32 images, whose channels are where the config's data_format says. */
  transform(images: tf.Tensor, transformation: Transformation, config: JsonObject): tf.Tensor;
}

/** Creates a kernel that draws a transformation and applies it in training, and returns its input otherwise. */
export function randomImageKernel(layer: RandomImage): Kernel {
  return ({ inputs, config, context }) => {
    if (!context.training) return firstInput(inputs);
    const images = tf.cast(firstInput(inputs), "float32");
    const draws = drawsFrom(context.random.nextSeed());
    const shape = imageShape(images, config);
    return layer.transform(images, layer.draw({ shape, config, draws, keras: context.keras }), config);
  };
}

function imageShape(images: tf.Tensor, config: JsonObject): ImageShape {
  const [count, ...rest] = images.shape as [number, number, number, number];
  if (!isChannelsFirst(config)) return { count, height: rest[0], width: rest[1], channels: rest[2] };
  return { count, height: rest[1], width: rest[2], channels: rest[0] };
}

/**
 * Returns both bounds of a factor. A single number is the upper bound, and the lower bound is its opposite or `least`.
 */
export function factorIn(config: JsonObject, name: string, least?: number): [number, number] {
  const [one, other] = numberList(config[name]);
  if (one === undefined) throw unsupported(`no ${name}`, "Give the layer one and save again.");
  if (other === undefined) return [least ?? -Math.abs(one), Math.abs(one)];
  return one <= other ? [one, other] : [other, one];
}

/** Draws which images a layer changes. Each has its own probability between the bounds of a factor. */
export function drawChosen({ shape, config, draws }: DrawCall): readonly boolean[] {
  const bounds = factorIn(config, "factor", 0);
  const probabilities = draws.uniforms(shape.count, ...bounds);
  return probabilities.map((probability) => draws.uniform(0, 1) < probability);
}

/** Makes a tensor with one number for each image, which broadcasts over the rest of it. */
export function perImage(values: readonly number[]): tf.Tensor {
  return tf.tensor4d([...values], [values.length, 1, 1, 1]);
}

/** Selects the changed images where `applied` is true, and the original ones elsewhere. */
export function changedWhere(applied: readonly boolean[], changed: tf.Tensor, images: tf.Tensor): tf.Tensor {
  if (applied.every(Boolean)) return changed;
  if (!applied.some(Boolean)) return images;
  const shown = tf.tensor4d([...applied], [applied.length, 1, 1, 1], "bool");
  return chosen(shown, changed, images);
}

/** The darkest and the brightest value of a pixel. */
export type ValueRange = readonly [low: number, high: number];

/** The range of eight bits, in which some layers compute. */
export const bytes: ValueRange = [0, 255];

export function valueRange(config: JsonObject): ValueRange {
  return numberList(config["value_range"]) as unknown as ValueRange;
}

/** Maps values from one range to another. */
export function inRange(x: tf.Tensor, from: ValueRange, to: ValueRange): tf.Tensor {
  if (from[0] === to[0] && from[1] === to[1]) return x;
  const shares = tf.div(tf.sub(x, from[0]), from[1] - from[0]);
  return tf.add(tf.mul(shares, to[1] - to[0]), to[0]);
}

export function clipped(x: tf.Tensor, config: JsonObject): tf.Tensor {
  return tf.clipByValue(x, ...valueRange(config));
}

/** Returns how a layer reads its image, from its arguments. */
export function readingIn(config: JsonObject): Reading {
  return {
    interpolation: stringAt(config, "interpolation"),
    fillMode: stringAt(config, "fill_mode"),
    fillValue: numberAt(config, "fill_value"),
  } as Reading;
}
