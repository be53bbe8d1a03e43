/**
 * @file Random image layers (`keras/src/layers/preprocessing/image_preprocessing`), which return their input except in
 * training. Their random numbers are not those of Keras, which uses another generator.
 */
import { identity } from "../core.ts";
import type { Kernel } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import { boxLayers } from "./boxes.ts";
import { colorLayers } from "./colors.ts";
import { elasticTransform } from "./elastic.ts";
import { adaptivelyEqualized, equalization } from "./equalization.ts";
import { filterLayers } from "./filters.ts";
import { geometryLayers } from "./geometry.ts";
import { policyLayers } from "./policies.ts";
import type { RandomImage } from "./random-image.ts";
import { randomImageKernel } from "./random-image.ts";
import { sizeKernels, sizeLayers } from "./sizes.ts";

/** The layers by class name. */
export const randomImageLayers: Readonly<Record<string, RandomImage>> = {
  ...boxLayers,
  ...colorLayers,
  ...filterLayers,
  ...geometryLayers,
  ...policyLayers,
  ...sizeLayers,
  Equalization: equalization,
  RandomElasticTransform: elasticTransform,
};

export const randomImageKernels: Readonly<Record<string, Kernel>> = {
  ...Object.fromEntries(
    Object.entries(randomImageLayers).map(([className, layer]) => [className, randomImageKernel(layer)]),
  ),
  ...sizeKernels,
  ContrastLimitedAdaptiveHistogramEqualization: ({ inputs, config }) =>
    adaptivelyEqualized(firstInput(inputs), config),
  // Images have no boxes to count.
  MaxNumBoundingBoxes: identity,
};
