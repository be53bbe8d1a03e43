/** @file Random layers that mix each pixel with its neighbors (`random_gaussian_blur.py`, `random_sharpness.py`). */
import { tf } from "../../engine/tf.ts";
import { numbersAt } from "../../topology/config-values.ts";
import { channelsLast } from "../axes.ts";
import { blurred, filtered } from "../ops/images.ts";
import type { RandomImage } from "./random-image.ts";
import { changedWhere, clipped, drawChosen, factorIn, perImage } from "./random-image.ts";

interface Blur {
  readonly [name: string]: readonly boolean[] | readonly number[];
  readonly shouldApplyBlur: readonly boolean[];
  /** The deviations of the whole batch. */
  readonly blurFactor: readonly [first: number, second: number];
}

const gaussianBlur: RandomImage = {
  draw: (call) => {
    const deviation = (): number => call.draws.uniform(...factorIn(call.config, "sigma", 0)) + 1e-6;
    return { shouldApplyBlur: drawChosen(call), blurFactor: [deviation(), deviation()] };
  },
  transform: (images, { shouldApplyBlur, blurFactor }: Blur, config) => {
    const size = numbersAt(config, "kernel_size", 2);
    const soft = channelsLast(images, config, (x) => blurred(x, size, blurFactor));
    return clipped(changedWhere(shouldApplyBlur, soft, images), config);
  },
};

/** The weights of a pixel and its neighbors. */
const smoothing = [1, 1, 1, 1, 5, 1, 1, 1, 1].map((weight) => weight / 13);

/** Changes the sharpness: a factor of 0 smooths, 0.5 leaves images unchanged, 1 sharpens. */
const sharpness: RandomImage = {
  draw: ({ shape, config, draws }) => ({
    factor: draws.uniforms(shape.count, ...factorIn(config, "factor", 0)),
  }),
  transform: (images, { factor }: { readonly factor: readonly number[] }, config) => {
    const smooth = channelsLast(images, config, (x) => filtered(x, smoothing, [3, 3]));
    const shares = perImage(factor.map((share) => 1 - 2 * share));
    return clipped(tf.add(images, tf.mul(shares, tf.sub(smooth, images))), config);
  },
};

export const filterLayers: Readonly<Record<"RandomGaussianBlur" | "RandomSharpness", RandomImage>> = {
  RandomGaussianBlur: gaussianBlur,
  RandomSharpness: sharpness,
};
