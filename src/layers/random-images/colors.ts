/**
 * @file Random layers that change each pixel independently
 * (`keras/src/layers/preprocessing/image_preprocessing/random_*.py`).
 */
import type { JsonObject } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { numberAt, numberList } from "../../topology/config-values.ts";
import { channelsLast, isChannelsFirst } from "../axes.ts";
import { toHueSaturationValue, toRedGreenBlue } from "../ops/images.ts";
import type { DrawCall, RandomImage, ValueRange } from "./random-image.ts";
import {
  bytes,
  changedWhere,
  clipped,
  drawChosen,
  factorIn,
  inRange,
  perImage,
  valueRange,
} from "./random-image.ts";

type Factors = { readonly factor: readonly number[] };

const unit: ValueRange = [0, 1];

const brightness: RandomImage = {
  draw: ({ shape, config, draws }) => {
    const [darkest, brightest] = valueRange(config);
    const shares = draws.uniforms(shape.count, ...factorIn(config, "factor"));
    return { rgbDelta: shares.map((share) => share * (brightest - darkest)) };
  },
  transform: (images, { rgbDelta }: { readonly rgbDelta: readonly number[] }, config) =>
    clipped(tf.add(images, perImage(rgbDelta)), config),
};

/** Changes the contrast of each channel around its own mean. */
const contrast: RandomImage = {
  draw: (call) => ({ contrastFactor: contrastFactors(call) }),
  transform: (images, { contrastFactor }: { readonly contrastFactor: readonly number[] }, config) => {
    const mean = tf.mean(images, isChannelsFirst(config) ? [2, 3] : [1, 2], true);
    const spread = tf.mul(tf.sub(images, mean), perImage(contrastFactor));
    return clipped(tf.add(spread, mean), config);
  },
};

/**
 * Draws a factor for each image. Before Keras 3, there is one for the whole batch, and a single number is used in both
 * directions.
 */
function contrastFactors({ shape, config, draws, keras }: DrawCall): readonly number[] {
  const given = numberList(config["factor"]);
  const [low, high] = factorIn(config, "factor", keras === 3 ? 0 : given[0]);
  if (keras === 3) return draws.uniforms(shape.count, 1 - low, 1 + high);
  const factor = draws.uniform(1 - low, 1 + high);
  return Array.from({ length: shape.count }, () => factor);
}

const colorDegeneration: RandomImage = {
  draw: ({ shape, config, draws }) => ({
    factor: draws.uniforms(shape.count, ...factorIn(config, "factor")),
  }),
  transform: (images, { factor }: Factors, config) => {
    const away = tf.sub(grayed(images, config), images);
    return clipped(tf.add(images, tf.mul(perImage(factor), away)), config);
  },
};

const grayscale: RandomImage = {
  draw: ({ shape, config, draws }) => {
    const probability = numberAt(config, "factor");
    return { applied: draws.uniforms(shape.count, 0, 1).map((value) => value < probability) };
  },
  transform: (images, { applied }: { readonly applied: readonly boolean[] }, config) =>
    changedWhere(applied, tf.add(tf.zerosLike(images), grayed(images, config)), images),
};

/** Returns the gray channel of images. A single channel is unchanged. */
function grayed(images: tf.Tensor, config: JsonObject): tf.Tensor {
  const axis = isChannelsFirst(config) ? 1 : 3;
  if (images.shape[axis] === 1) return images;
  const shape = [1, 1, 1, 1];
  shape[axis] = 3;
  return tf.sum(tf.mul(images, tf.tensor([0.2989, 0.587, 0.114], shape)), axis, true);
}

/** Rotates the hue in either direction, by at most half a turn. */
const hue: RandomImage = {
  draw: ({ shape, config, draws }) => {
    const signs = draws.uniforms(shape.count, 0, 1).map((value) => (value > 0.5 ? -1 : 1));
    return { factor: signs.map((sign) => sign * draws.uniform(...factorIn(config, "factor", 0)) * 0.5) };
  },
  transform: (images, { factor }: Factors, config) => {
    const range = valueRange(config);
    const shares = inRange(images, range, unit);
    const turned = byHue(shares, config, ([hues, saturations, values]) => {
      const moved = tf.add(hues, perImage(factor));
      const below = tf.where(tf.greater(moved, 1), tf.sub(moved, 1), moved);
      return [tf.where(tf.less(below, 0), tf.add(below, 1), below), saturations, values];
    });
    return inRange(tf.clipByValue(turned, 0, 1), unit, range);
  },
};

const saturation: RandomImage = {
  draw: ({ shape, config, draws }) => {
    const shares = draws.uniforms(shape.count, ...factorIn(config, "factor"));
    return { factor: shares.map((share) => share / (1 - share + 1e-7)) };
  },
  transform: (images, { factor }: Factors, config) =>
    byHue(images, config, ([hues, saturations, values]) => [
      hues,
      clipped(tf.mul(saturations, perImage(factor)), config),
      values,
    ]),
};

type HueSaturationValue = readonly [hue: tf.Tensor, saturation: tf.Tensor, value: tf.Tensor];

function byHue(
  images: tf.Tensor,
  config: JsonObject,
  change: (parts: HueSaturationValue) => HueSaturationValue,
): tf.Tensor {
  return channelsLast(images, config, (x) => {
    const parts = tf.split(toHueSaturationValue(x), 3, 3) as unknown as HueSaturationValue;
    return toRedGreenBlue(tf.concat([...change(parts)], 3));
  });
}

const invert: RandomImage = {
  draw: (call) => ({ applyInversion: drawChosen(call) }),
  transform: (images, { applyInversion }: { readonly applyInversion: readonly boolean[] }, config) =>
    changedWhere(applyInversion, tf.sub(valueRange(config)[1], images), images),
};

/** Keeps as many of eight bits as the factor says. Its upper bound is never drawn. */
const posterization: RandomImage = {
  draw: ({ shape, config, draws }) => {
    const [least, most] = factorIn(config, "factor", 1);
    const kept = (): number => (least === most ? least : draws.integer(least, most));
    return { shiftFactor: Array.from({ length: shape.count }, () => 8 - kept()) };
  },
  transform: (images, { shiftFactor }: { readonly shiftFactor: readonly number[] }, config) => {
    const range = valueRange(config);
    const steps = perImage(shiftFactor.map((shift) => 2 ** shift));
    const whole = tf.floor(inRange(images, range, bytes));
    return inRange(tf.mul(tf.floor(tf.div(whole, steps)), steps), bytes, range);
  },
};

/**
 * Adds to all values and inverts those above a threshold. Keras multiplies the upper bounds by 255, but not the lower
 * ones.
 */
const solarization: RandomImage = {
  draw: ({ shape, config, draws }) => {
    const drawn = (name: string): readonly number[] => {
      const [low, high] = factorIn(config, name, 0);
      return draws.uniforms(shape.count, low, high * 255);
    };
    return { additions: drawn("addition_factor"), thresholds: drawn("threshold_factor") };
  },
  transform: (
    images,
    {
      additions,
      thresholds,
    }: { readonly additions: readonly number[]; readonly thresholds: readonly number[] },
    config,
  ) => {
    const range = valueRange(config);
    const lit = tf.clipByValue(tf.add(inRange(images, range, bytes), perImage(additions)), ...bytes);
    const kept = tf.where(tf.less(lit, perImage(thresholds)), lit, tf.sub(255, lit));
    return inRange(kept, bytes, range);
  },
};

export const colorLayers: Readonly<
  Record<
    | "RandomBrightness"
    | "RandomColorDegeneration"
    | "RandomContrast"
    | "RandomGrayscale"
    | "RandomHue"
    | "RandomInvert"
    | "RandomPosterization"
    | "RandomSaturation"
    | "Solarization",
    RandomImage
  >
> = {
  RandomBrightness: brightness,
  RandomColorDegeneration: colorDegeneration,
  RandomContrast: contrast,
  RandomGrayscale: grayscale,
  RandomHue: hue,
  RandomInvert: invert,
  RandomPosterization: posterization,
  RandomSaturation: saturation,
  Solarization: solarization,
};
