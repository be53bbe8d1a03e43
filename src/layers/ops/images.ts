/** @file Functions of keras.ops.image that filter images or change their colors (`keras/src/ops/image.py`). */
import { chosen, depthwiseConv2d, max } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { numberAt, numbersAt } from "../../topology/config-values.ts";
import { channelsLast, isChannelsFirst, mirrorAxis, toChannelsLast } from "../axes.ts";
import type { Kernel, KernelCall } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import { min } from "./along-axes.ts";
import { asFloat } from "./number-functions.ts";
import { operandsOf } from "./operands.ts";

export const imageOpKernels: Readonly<Record<string, Kernel>> = {
  "ops.SobelEdges": sobelEdges,
  "ops.GaussianBlur": ({ inputs, config }) =>
    channelsLast(firstInput(inputs), config, (image) => {
      const [high, wide] = numbersAt(config, "kernel_size", 2);
      return blurred(image, [high, wide], numbersAt(config, "sigma", 2));
    }),
  "ops.SSIM": structuralSimilarity,
  "ops.RGBToHSV": ({ inputs, config }) => channelsLast(firstInput(inputs), config, toHueSaturationValue),
  "ops.HSVToRGB": ({ inputs, config }) => channelsLast(firstInput(inputs), config, toRedGreenBlue),
};

/** Blurs `[N, H, W, C]` by a Gaussian filter. As in Keras, the first deviation applies along the width. */
export function blurred(
  image: tf.Tensor,
  [high, wide]: readonly [number, number],
  [first, second]: readonly [number, number],
): tf.Tensor {
  const bells = [bell(wide, second), bell(high, first)] as const;
  const plane = bells[0].flatMap((y) => bells[1].map((x) => y * x));
  return filtered(image, plane, [high, wide]);
}

/** Filters each channel of `[N, H, W, C]` by a plane of weights, with zeros around the image. */
export function filtered(
  image: tf.Tensor,
  plane: readonly number[],
  size: readonly [number, number],
): tf.Tensor {
  return depthwiseConv2d(image, perChannel([plane], size, image), [1, 1], "same");
}

/** Returns filters `[h, w, C, filters]` that are the same for every channel. */
function perChannel(
  planes: readonly (readonly number[])[],
  [high, wide]: readonly [number, number],
  image: tf.Tensor,
): tf.Tensor {
  const channels = sizeAt(image.shape, -1);
  const filters = tf.stack(
    planes.map((plane) => tf.tensor2d([...plane], [high, wide])),
    2,
  );
  return tf.tile(tf.expandDims(filters, 2), [1, 1, channels, 1]);
}

/** Computes the derivatives along height and width, on a new last axis. */
function sobelEdges({ inputs, config }: KernelCall): tf.Tensor {
  const image = isChannelsFirst(config) ? toChannelsLast(firstInput(inputs)) : firstInput(inputs);
  const down = [-1, -2, -1, 0, 0, 0, 1, 2, 1];
  const across = [-1, 0, 1, -2, 0, 2, -1, 0, 1];
  const padded = mirrorAxis(mirrorAxis(image, 1, 1), 2, 1);
  const edges = depthwiseConv2d(padded, perChannel([down, across], [3, 3], image), [1, 1], "valid");
  const whole = tf.reshape(edges, [...image.shape, 2]);
  return isChannelsFirst(config) ? tf.transpose(whole, [0, 3, 1, 2, 4]) : whole;
}

/** Computes the structural similarity of two images: the mean over all windows of each image. */
function structuralSimilarity(call: KernelCall): tf.Tensor {
  const { config } = call;
  const operands = operandsOf(call, 2).map(asFloat);
  const alone = operands[0]!.rank === 3;
  const [a, b] = operands
    .map((image) => (alone ? tf.expandDims(image, 0) : image))
    .map((image) => (isChannelsFirst(config) ? toChannelsLast(image) : image)) as [tf.Tensor, tf.Tensor];
  const size = numberAt(config, "filter_size");
  const heights = bell(size, numberAt(config, "filter_sigma"));
  const plane = heights.flatMap((y) => heights.map((x) => y * x));
  const mean = (x: tf.Tensor): tf.Tensor =>
    depthwiseConv2d(x, perChannel([plane], [size, size], x), [1, 1], "valid");
  const [meanA, meanB] = [mean(a), mean(b)];
  const product = tf.mul(meanA, meanB);
  const squares = tf.add(tf.square(meanA), tf.square(meanB));
  const shared = tf.sub(mean(tf.mul(a, b)), product);
  const spread = tf.sub(tf.add(mean(tf.square(a)), mean(tf.square(b))), squares);
  const [least, leastSpread] = ["k1", "k2"].map(
    (name) => (numberAt(config, name) * numberAt(config, "max_val")) ** 2,
  ) as [number, number];
  const above = tf.mul(tf.add(tf.mul(product, 2), least), tf.add(tf.mul(shared, 2), leastSpread));
  const below = tf.mul(tf.add(squares, least), tf.add(spread, leastSpread));
  const similarity = tf.mean(tf.div(above, below), [1, 2, 3]);
  return alone ? tf.squeeze(similarity, [0]) : similarity;
}

function bell(size: number, sigma: number): number[] {
  const heights = Array.from({ length: size }, (_, place) =>
    Math.exp(-0.5 * ((place - (size - 1) / 2) / sigma) ** 2),
  );
  const total = heights.reduce((sum, height) => sum + height, 0);
  return heights.map((height) => height / total);
}

/**
 * Converts red, green and blue on the last axis to hue, saturation and value. All are from 0 to 1. A gray has neither
 * hue nor saturation.
 */
export function toHueSaturationValue(image: tf.Tensor): tf.Tensor {
  const [red, green, blue] = tf.split(image, 3, image.rank - 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const value = max(image, [image.rank - 1], true);
  const range = tf.sub(value, min(image, [image.rank - 1], true));
  const gray = tf.equal(range, 0);
  const black = tf.equal(value, 0);
  const saturation = tf.div(range, chosen(black, tf.onesLike(value), value));
  const safe = chosen(gray, tf.onesLike(range), range);
  const turn = (a: tf.Tensor, b: tf.Tensor, start: number): tf.Tensor =>
    tf.add(tf.div(tf.sub(a, b), tf.mul(safe, 6)), start / 6);
  const fromBlue = turn(red, green, 4);
  const fromGreen = tf.where(tf.equal(green, value), turn(blue, red, 2), fromBlue);
  const hue = tf.where(tf.equal(red, value), turn(green, blue, 0), fromGreen);
  const positive = tf.where(tf.less(hue, 0), tf.add(hue, 1), hue);
  return tf.concat([chosen(gray, tf.zerosLike(hue), positive), saturation, value], image.rank - 1);
}

/** Inverts `toHueSaturationValue`. */
export function toRedGreenBlue(image: tf.Tensor): tf.Tensor {
  const [hue, saturation, value] = tf.split(image, 3, image.rank - 1) as [tf.Tensor, tf.Tensor, tf.Tensor];
  const sixths = tf.mul(hue, 6);
  const shade = (height: tf.Tensor): tf.Tensor => {
    const part = tf.clipByValue(height, 0, 1);
    return tf.mul(tf.add(tf.sub(1, saturation), tf.mul(saturation, part)), value);
  };
  const away = (place: number): tf.Tensor => tf.abs(tf.sub(sixths, place));
  return tf.concat(
    [shade(tf.sub(away(3), 1)), shade(tf.sub(2, away(2))), shade(tf.sub(2, away(4)))],
    image.rank - 1,
  );
}
