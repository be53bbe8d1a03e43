/**
 * Random image layers (`keras/src/layers/preprocessing/image_preprocessing`): they pass their input on but in training. Images draw
 * from another generator than Keras's.
 */
import { identity } from "../core.ts";
import type { Kernel } from "../kernel.ts";
import { boxLayers } from "./boxes.ts";
import { colourLayers } from "./colours.ts";
import { elasticTransform } from "./elastic.ts";
import { adaptivelyEqualized, equalization } from "./equalization.ts";
import { filterLayers } from "./filters.ts";
import { geometryLayers } from "./geometry.ts";
import { policyLayers } from "./policies.ts";
import type { RandomImage } from "./random-image.ts";
import { randomImageKernel } from "./random-image.ts";
import { sizeKernels, sizeLayers } from "./sizes.ts";

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
