/** @file Random layers composed of others (`aug_mix.py`, `rand_augment.py`, `random_color_jitter.py`). */
import type { JsonObject } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { isTrueAt, numberAt, stringAt } from "../../topology/config-values.ts";
import { autoContrast } from "../preprocessing.ts";
import { colorLayers } from "./colors.ts";
import { equalization } from "./equalization.ts";
import { filterLayers } from "./filters.ts";
import { geometryLayers } from "./geometry.ts";
import type { DrawCall, RandomImage, Transformation } from "./random-image.ts";
import { clipped, factorIn } from "./random-image.ts";

/** The parts by the attribute under which Keras keeps each, in its order. */
const parts: Readonly<Record<string, RandomImage>> = {
  randomShear: geometryLayers.RandomShear,
  randomTranslation: geometryLayers.RandomTranslation,
  randomRotation: geometryLayers.RandomRotation,
  randomBrightness: colorLayers.RandomBrightness,
  randomColorDegeneration: colorLayers.RandomColorDegeneration,
  randomContrast: colorLayers.RandomContrast,
  randomSharpness: filterLayers.RandomSharpness,
  randomPosterization: colorLayers.RandomPosterization,
  solarization: colorLayers.Solarization,
  autoContrast: {
    draw: () => ({}),
    transform: (images, _, config) => autoContrast(images, config),
  },
  equalization,
};

const partNames = Object.keys(parts);

/** The parts that AugMix uses without `all_ops`. */
const plainPartNames = partNames.filter(
  (name) => !/^random(Brightness|ColorDegeneration|Contrast|Sharpness)$/.test(name),
);

/** Returns the config of a part, which follows from the single factor of the layer. */
function partConfig(name: string, config: JsonObject): JsonObject {
  const { data_format = "channels_last", value_range = [0, 255] } = config;
  const factor = factorIn(config, "factor", 0);
  const factors = ["x_factor", "y_factor", "height_factor", "width_factor"].map((key) => [key, factor]);
  const bits = Math.max(1, Math.trunc(8 * factor[1]));
  return {
    ...Object.fromEntries(factors),
    data_format,
    value_range,
    factor: name === "randomPosterization" ? [1, bits] : factor,
    addition_factor: factor,
    threshold_factor: factor,
    interpolation: stringAt(config, "interpolation"),
    fill_mode: "reflect",
    fill_value: 0,
    bins: 256,
  };
}

function drawPart(name: string, call: DrawCall): Transformation {
  return parts[name]!.draw({ ...call, config: partConfig(name, call.config) });
}

function transformPart(
  name: string,
  images: tf.Tensor,
  transformation: Transformation,
  config: JsonObject,
): tf.Tensor {
  return parts[name]!.transform(images, transformation, partConfig(name, config));
}

interface RandAugment {
  readonly [name: string]: readonly number[] | Transformation;
  /** Indices of the parts to apply in turn. */
  readonly layerIdxes: readonly number[];
  readonly transforms: Readonly<Record<string, Transformation>>;
}

/** Applies the same few parts to the whole batch. A part has one transformation, however often it is applied. */
const randAugment: RandomImage = {
  draw: (call) => ({
    layerIdxes: Array.from({ length: numberAt(call.config, "num_ops") }, () =>
      call.draws.integer(0, partNames.length),
    ),
    transforms: Object.fromEntries(partNames.map((name) => [name, drawPart(name, call)])),
  }),
  transform: (images, { layerIdxes, transforms }: RandAugment, config) =>
    layerIdxes.reduce((x, index) => {
      const name = partNames[index]!;
      return transformPart(name, x, transforms[name]!, config);
    }, images),
};

interface ChainLink {
  readonly [name: string]: string | Transformation;
  readonly layerName: string;
  readonly transformation: Transformation;
}

interface AugMix {
  readonly [name: string]: number | readonly number[] | readonly (readonly ChainLink[])[];
  readonly chainMixingWeights: readonly number[];
  /** The weight of the original images. */
  readonly weightSample: number;
  readonly chainTransforms: readonly (readonly ChainLink[])[];
}

/** Mixes chains of parts with each other and with the images, all equally for the whole batch. */
const augMix: RandomImage = {
  draw: (call) => {
    const { config, draws } = call;
    const alpha = numberAt(config, "alpha");
    const [count, depth] = [numberAt(config, "num_chains"), numberAt(config, "chain_depth")];
    const names = isTrueAt(config, "all_ops") ? partNames : plainPartNames;
    const link = (): readonly ChainLink[] => {
      const layerName = names[draws.integer(0, names.length + 1)];
      return layerName ? [{ layerName, transformation: drawPart(layerName, call) }] : [];
    };
    return {
      chainMixingWeights: draws.dirichlet(count, alpha),
      weightSample: draws.beta(alpha, alpha),
      chainTransforms: Array.from({ length: count }, () => Array.from({ length: depth }, link).flat()),
    };
  },
  transform: (images, { chainMixingWeights, weightSample, chainTransforms }: AugMix, config) => {
    const chains = chainTransforms.map((links, index) => {
      const end = links.reduce(
        (x, { layerName, transformation }) => transformPart(layerName, x, transformation, config),
        images,
      );
      return tf.mul(end, chainMixingWeights[index]!);
    });
    const mixed = chains.reduce((sum, chain) => tf.add(sum, chain), tf.zerosLike(images) as tf.Tensor);
    return clipped(tf.add(tf.mul(images, weightSample), tf.mul(mixed, 1 - weightSample)), config);
  },
};

const jitters = [
  ["brightness", colorLayers.RandomBrightness],
  ["contrast", colorLayers.RandomContrast],
  ["saturation", colorLayers.RandomSaturation],
  ["hue", colorLayers.RandomHue],
] as const satisfies readonly (readonly [string, RandomImage])[];

/**
 * Applies those of brightness, contrast, saturation and hue that have a factor. Keras leaves these layers at
 * channels_last.
 */
const colorJitter: RandomImage = {
  draw: (call) =>
    Object.fromEntries(
      jitters.flatMap(([name, layer]) => {
        const config = jitterConfig(name, call.config);
        return config ? [[name, layer.draw({ ...call, config })]] : [];
      }),
    ),
  transform: (images, transformation: Readonly<Record<string, Transformation>>, config) =>
    jitters.reduce((x, [name, layer]) => {
      const own = jitterConfig(name, config);
      return own ? layer.transform(x, transformation[name]!, own) : x;
    }, images),
};

function jitterConfig(name: string, config: JsonObject): JsonObject | undefined {
  const factor = config[`${name}_factor`];
  if (factor == null) return undefined;
  return { factor, value_range: config["value_range"] ?? [0, 255], data_format: "channels_last" };
}

export const policyLayers: Readonly<Record<"AugMix" | "RandAugment" | "RandomColorJitter", RandomImage>> = {
  AugMix: augMix,
  RandAugment: randAugment,
  RandomColorJitter: colorJitter,
};
