/**
 * @file Functions of keras.ops.image that read each pixel from another place (`keras/src/backend/tensorflow/image.py`).
 */
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt, numberAt, numberList, stringAt } from "../../topology/config-values.ts";
import { axisOf, channelsLast, contractAxis, rowsOf } from "../axes.ts";
import type { Kernel, KernelCall } from "../kernel.ts";
import type { Affine, Point, Reading } from "../numerics/affine.ts";
import { affineTransformed, homography, inverted } from "../numerics/affine.ts";
import { statelessNormal } from "../numerics/philox.ts";
import type { Arithmetic } from "../numerics/resize-kernels.ts";
import { keysCubic, lanczos } from "../numerics/resize-kernels.ts";
import { drawsFrom } from "../random-images/draws.ts";
import { distorted, smoothed } from "../random-images/elastic.ts";
import { readingIn } from "../random-images/random-image.ts";
import { valuesAt } from "./map-coordinates.ts";
import { argumentOf, requiredOperand } from "./operands.ts";

export const movedImageKernels: Readonly<Record<string, Kernel>> = {
  "ops.AffineTransform": (call) => {
    const maps = rowsOf(requiredOperand(call, 1, "transform"), 8) as unknown as readonly Affine[];
    return moved(call, maps, readingIn(call.config));
  },
  "ops.PerspectiveTransform": (call) => {
    const [starts, ends] = [pointsOf(call, 1, "start_points"), pointsOf(call, 2, "end_points")];
    const maps = starts.map((corners, image) => homography(corners, ends[image]!));
    return moved(call, maps, readingIn({ ...call.config, fill_mode: "constant" }));
  },
  "ops.ScaleAndTranslate": scaledAndTranslated,
  "ops.MapCoordinates": valuesAt,
  "ops.ElasticTransform": (call) => ofBatch(call, (images) => pulledAbout(images, call)),
};

/** Returns the four corners of each image. */
function pointsOf(call: KernelCall, index: number, name: string): readonly (readonly Point[])[] {
  const points = rowsOf(requiredOperand(call, index, name), 2) as unknown as readonly Point[];
  return Array.from({ length: points.length / 4 }, (_, image) => points.slice(4 * image, 4 * image + 4));
}

/** Applies `compute` to the images, or to a single image `[H, W, C]` as a batch of one. */
function ofBatch(call: KernelCall, compute: (images: tf.Tensor) => tf.Tensor): tf.Tensor {
  const images = requiredOperand(call, 0, "images");
  return images.rank === 3 ? tf.squeeze(compute(tf.expandDims(images, 0)), [0]) : compute(images);
}

/** Transforms each image by its own map, or all by one. */
function moved(call: KernelCall, maps: readonly Affine[], reading: Reading): tf.Tensor {
  return ofBatch(call, (images) => batchMoved(images, call, maps, reading));
}

/**
 * Transforms a batch of images. The gradient is TensorFlow's: the gradient of the result, moved back by the same
 * reading.
 */
function batchMoved(
  images: tf.Tensor,
  { config }: KernelCall,
  maps: readonly Affine[],
  reading: Reading,
): tf.Tensor {
  const each = Array.from({ length: sizeAt(images.shape, 0) }, (_, image) => maps[image] ?? maps[0]!);
  return channelsLast(images, config, (x) =>
    tf.customGrad((given) => ({
      value: affineTransformed(given as tf.Tensor, each, reading),
      gradFunc: (dy: tf.Tensor) => affineTransformed(dy, each.map(inverted), { ...reading, fillValue: 0 }),
    }))(x),
  );
}

/** Distorts images by the same smooth noise across and down. With a seed, the noise is the same at each call. */
function pulledAbout(images: tf.Tensor, { config, context }: KernelCall): tf.Tensor {
  const [alpha, sigma] = [numberAt(config, "alpha"), numberAt(config, "sigma")];
  return channelsLast(images, config, (x) => {
    const shape = x.shape.slice(0, 3) as [number, number, number];
    const noise =
      typeof config["seed"] === "number"
        ? tf.tensor(statelessNormal(config["seed"], shape[0] * shape[1] * shape[2]), shape)
        : drawsFrom(context.random.nextSeed()).normal(shape);
    const moves = smoothed(noise, sigma);
    return distorted(x, moves, moves, alpha, readingIn(config));
  });
}

/** Multiplies each named axis by a matrix with the weights of the original pixels. */
function scaledAndTranslated(call: KernelCall): tf.Tensor {
  const images = requiredOperand(call, 0, "images");
  const shape = numberList(argumentOf(call, 1, "output_shape") as number[]);
  const scales = tf.reshape(requiredOperand(call, 2, "scale"), [-1]);
  const translations = tf.reshape(requiredOperand(call, 3, "translation"), [-1]);
  return numberList(call.config["spatial_dims"]).reduce((value, dimension, index) => {
    const axis = axisOf(dimension, value.rank);
    const [scale, translation] = [scales, translations].map((x) => tf.slice(x, [index], [1]));
    const weights = placeWeights(
      sizeAt(value.shape, axis),
      sizeAt(shape, axis),
      scale!,
      translation!,
      stringAt(call.config, "method"),
      isTrueAt(call.config, "antialias"),
    );
    return contractAxis(value, axis, weights);
  }, images);
}

/** Returns the weights `[to, from]`. A position outside the original gets none. */
function placeWeights(
  from: number,
  to: number,
  scale: tf.Tensor,
  translation: tf.Tensor,
  method: string,
  antialias: boolean,
): tf.Tensor2D {
  const inverse = tf.reciprocal(scale);
  const centers = tf.add(tf.range(0, to, 1, "float32"), 0.5);
  const places = tf.sub(tf.mul(tf.sub(centers, translation), inverse), 0.5);
  const apart = tf.abs(tf.sub(tf.expandDims(places, 1), tf.range(0, from, 1, "float32")));
  const distance = antialias ? tf.div(apart, tf.maximum(inverse, 1)) : apart;
  const weights = kernelOf(method)(distance);
  const total = tf.sum(weights, 1, true);
  const counts = tf.greater(tf.abs(total), 1000 * 2 ** -23);
  const inside = tf.logicalAnd(tf.greaterEqual(places, -0.5), tf.lessEqual(places, from - 0.5));
  const kept = tf.mul(tf.cast(counts, "float32"), tf.expandDims(tf.cast(inside, "float32"), 1));
  return tf.mul<tf.Tensor2D>(
    tf.div(weights, tf.where(tf.notEqual(total, 0), total, tf.onesLike(total))),
    kept,
  );
}

function kernelOf(method: string): (distance: tf.Tensor) => tf.Tensor {
  if (method.startsWith("lanczos")) {
    const radius = Number(method.slice("lanczos".length));
    return (x) => lanczos(x, radius, tensorArithmetic);
  }
  return method.endsWith("cubic") ? (x) => keysCubic(x, tensorArithmetic) : (x) => tf.relu(tf.sub(1, x));
}

const tensorArithmetic: Arithmetic<tf.Tensor> = {
  add: (a, b) => tf.add(a, b),
  mul: (a, b) => tf.mul(a, b),
  div: (a, b) => tf.div(a, b),
  sin: (x) => tf.sin(x),
  upTo: (x, limit, near, far) => {
    const filled = (value: tf.Tensor | number): tf.Tensor =>
      typeof value === "number" ? tf.fill(x.shape, value) : value;
    return tf.where(tf.lessEqual(x, limit), filled(near), filled(far));
  },
};
