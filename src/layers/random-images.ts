/**
 * Random image layers (`keras/src/layers/preprocessing/image_preprocessing`): they pass their input on but in training. Images draw
 * from another generator than Keras's.
 */
import { identity } from "./core.ts";
import type { Kernel } from "./kernel.ts";
import { boxLayers } from "./random-images/boxes.ts";
import { colourLayers } from "./random-images/colours.ts";
import { elasticTransform } from "./random-images/elastic.ts";
import { adaptivelyEqualized, equalization } from "./random-images/equalization.ts";
import { filterLayers } from "./random-images/filters.ts";
import { geometryLayers } from "./random-images/geometry.ts";
import { policyLayers } from "./random-images/policies.ts";
import type { RandomImage } from "./random-images/random-image.ts";
import { randomImageKernel } from "./random-images/random-image.ts";
import { sizeKernels, sizeLayers } from "./random-images/sizes.ts";

/** By class name. */
export const randomImageLayers: Readonly<Record<string, RandomImage>> = {
  ...boxLayers,
  ...colourLayers,
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
    adaptivelyEqualized(inputs[0]!, config),
  // Images have no boxes to count.
  MaxNumBoundingBoxes: identity,
};
