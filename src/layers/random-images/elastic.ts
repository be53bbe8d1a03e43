/**
 * @file Random elastic distortion of images (`random_elastic_transform.py`, `elastic_transform` and `map_coordinates`
 * of `keras/src/ops/image.py`).
 */
import { tf } from "../../engine/tf.ts";
import { roundHalfEven, sizeAt } from "../../tensor.ts";
import { channelsLast } from "../axes.ts";
import type { Reading, ReadPixel } from "../numerics/affine.ts";
import { gathered, readAround, readCount } from "../numerics/affine.ts";
import { blurred } from "../ops/images.ts";
import { placeWithin } from "../ops/map-coordinates.ts";
import type { RandomImage } from "./random-image.ts";
import { changedWhere, clipped, drawChosen, factorIn, readingIn } from "./random-image.ts";

interface Elastic {
  readonly [name: string]: readonly boolean[] | number | tf.Tensor | null;
  readonly applyTransform: readonly boolean[];
  /** The factor of the whole batch. */
  readonly distortionFactor: number;
  /** Normal numbers `[N, H, W]`; null if nothing is distorted. */
  readonly across: tf.Tensor | null;
  readonly down: tf.Tensor | null;
}

export const elasticTransform: RandomImage = {
  draw: (call) => {
    const { shape, config, draws } = call;
    const scale = factorIn(config, "scale", 0);
    const applyTransform = drawChosen(call);
    const distortionFactor = draws.uniform(...scale);
    const none = scale[1] === 0 || factorIn(config, "factor", 0)[1] === 0;
    const noise = (): tf.Tensor | null =>
      none ? null : draws.normal([shape.count, shape.height, shape.width]);
    return { applyTransform, distortionFactor, across: noise(), down: noise() };
  },
  transform: (images, { applyTransform, distortionFactor, across, down }: Elastic, config) => {
    if (!across || !down) return images;
    const moved = channelsLast(images, config, (x) => {
      const alpha = 0.1 * distortionFactor * Math.max(sizeAt(x.shape, 1), sizeAt(x.shape, 2));
      const sigma = 0.05 * distortionFactor * Math.min(sizeAt(x.shape, 1), sizeAt(x.shape, 2));
      return distorted(x, smoothed(across, sigma), smoothed(down, sigma), alpha, readingIn(config));
    });
    return clipped(changedWhere(applyTransform, moved, images), config);
  },
};

/** Scales noise to the deviation `sigma` and smooths it by a Gaussian of the same deviation. */
export function smoothed(noise: tf.Tensor, sigma: number): ArrayLike<number> {
  return tf.tidy(() => {
    const size = 6 * Math.trunc(sigma) + 1;
    const spread = tf.expandDims(tf.mul(noise, sigma), -1);
    return blurred(spread, [size, size], [sigma, sigma]).dataSync();
  });
}

export function distorted(
  x: tf.Tensor,
  across: ArrayLike<number>,
  down: ArrayLike<number>,
  alpha: number,
  reading: Reading,
): tf.Tensor {
  const [, high, wide] = x.shape as [number, number, number];
  return gathered(x, readCount(reading), reading.fillValue, (image, row, column, read) => {
    const pixel = (image * high + row) * wide + column;
    const left = column + alpha * across[pixel]!;
    const top = row + alpha * down[pixel]!;
    const readWithin: ReadPixel = (place, x, y, share) =>
      read(place, within(x, wide, reading.fillMode), within(y, high, reading.fillMode), share);
    if (reading.interpolation === "bilinear") readAround(left, top, readWithin);
    else readWithin(0, roundHalfEven(left), roundHalfEven(top), 1);
  });
}

/** Maps a pixel to one within an axis of `size`. A pixel outside is unchanged if it is to be filled. */
function within(pixel: number, size: number, mode: Reading["fillMode"]): number {
  return mode === "constant" ? pixel : placeWithin(pixel, size, mode);
}
