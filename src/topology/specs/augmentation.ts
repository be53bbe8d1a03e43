import type { JsonObject } from "../../checkpoint.ts";
import type { LayerSpec } from "../layer-spec.ts";

/**
 * Creates the spec of a layer that is the identity except in training
 * (`keras/src/layers/preprocessing/image_preprocessing/`).
 */
function augmentation(className: string, defaults: JsonObject = {}): LayerSpec {
  return {
    className,
    defaults: { data_format: "channels_last", ...defaults },
    outputShapes: ({ inputs }) => [inputs[0]],
    random: true,
  };
}

/** Creates the spec of RandomHeight or RandomWidth of Keras 2, whose output size is random in training. */
function stretched(className: string, axis: number): LayerSpec {
  return {
    ...augmentation(className, { interpolation: "bilinear" }),
    outputShapes: ({ inputs }) => [inputs[0].map((size, position) => (position === axis ? null : size))],
  };
}

const moved: JsonObject = { fill_mode: "reflect", interpolation: "bilinear", fill_value: 0 };
const ranged: JsonObject = { value_range: [0, 255] };

export const augmentationSpecs: readonly LayerSpec[] = [
  augmentation("AugMix", {
    ...ranged,
    num_chains: 3,
    chain_depth: 3,
    factor: [0, 0.3],
    alpha: 1,
    all_ops: true,
    interpolation: "bilinear",
  }),
  augmentation("CutMix", { factor: [0, 1] }),
  augmentation("Equalization", { ...ranged, bins: 256 }),
  augmentation("MixUp", { alpha: 0.2 }),
  augmentation("RandAugment", { ...ranged, num_ops: 2, factor: [0, 0.5], interpolation: "bilinear" }),
  augmentation("RandomBrightness", ranged),
  augmentation("RandomColorDegeneration", ranged),
  augmentation("RandomColorJitter", ranged),
  augmentation("RandomContrast", ranged),
  augmentation("RandomElasticTransform", { ...moved, ...ranged, factor: [0, 1], scale: [0, 1] }),
  augmentation("RandomErasing", { ...ranged, factor: [0, 1], scale: [0.02, 0.33], fill_value: null }),
  augmentation("RandomFlip", { mode: "horizontal_and_vertical" }),
  augmentation("RandomGaussianBlur", { ...ranged, factor: [0, 1], kernel_size: 3, sigma: [0, 1] }),
  augmentation("RandomGrayscale", { factor: 0.5 }),
  augmentation("RandomHue", ranged),
  augmentation("RandomInvert", { ...ranged, factor: [0, 1] }),
  augmentation("RandomPerspective", { factor: [0, 1], scale: 1, interpolation: "bilinear", fill_value: 0 }),
  augmentation("RandomPosterization", ranged),
  augmentation("RandomRotation", moved),
  augmentation("RandomSaturation", ranged),
  augmentation("RandomSharpness", ranged),
  augmentation("RandomShear", moved),
  augmentation("RandomTranslation", moved),
  augmentation("RandomZoom", { ...moved, width_factor: null }),
  augmentation("Solarization", { ...ranged, addition_factor: [0, 0], threshold_factor: [0, 0] }),
  { ...augmentation("MaxNumBoundingBoxes"), random: false },
  {
    ...augmentation("ContrastLimitedAdaptiveHistogramEqualization", {
      ...ranged,
      clip_limit: 4,
      tile_grid_size: [8, 8],
    }),
    random: false,
  },
  stretched("RandomHeight", 1),
  stretched("RandomWidth", 2),
];

/** Random layers that mix the images of a batch, or give images of any size. */
const ofBatches: ReadonlySet<string> = new Set(["MixUp", "CutMix", "RandomHeight", "RandomWidth"]);

const ofOneImage: ReadonlySet<string> = new Set([
  "RandomCrop",
  ...augmentationSpecs
    .filter(({ className, random }) => random && !ofBatches.has(className))
    .map(({ className }) => className),
]);

/** Returns whether layers of a class change each image by itself in training and keep its size, or crop it to one size. */
export function augmentsOneImage(className: string): boolean {
  return ofOneImage.has(className);
}
