import type { LayerSpec } from "../layer-spec.ts";

/**
 * `keras/src/layers/preprocessing/image_preprocessing/`: identity but in training.
 */
function augmentation(className: string, more: Partial<LayerSpec> = {}): LayerSpec {
  return {
    className,
    defaults: { data_format: "channels_last" },
    outputShapes: ({ inputs }) => [inputs[0]!],
    random: true,
    inferenceOnly: className !== "MaxNumBoundingBoxes",
    ...more,
  };
}

/** Keras 2 only: in training the height (or width) is any. */
function resized(className: string, axis: number): LayerSpec {
  return augmentation(className, {
    outputShapes: ({ inputs }) => [inputs[0]!.map((size, position) => (position === axis ? null : size))],
  });
}

const names = [
  "AugMix",
  "Equalization",
  "MaxNumBoundingBoxes",
  "RandAugment",
  "RandomBrightness",
  "RandomColorDegeneration",
  "RandomColorJitter",
  "RandomContrast",
  "RandomElasticTransform",
  "RandomErasing",
  "RandomFlip",
  "RandomGaussianBlur",
  "RandomGrayscale",
  "RandomHue",
  "RandomInvert",
  "RandomPerspective",
  "RandomPosterization",
  "RandomRotation",
  "RandomSaturation",
  "RandomSharpness",
  "RandomShear",
  "RandomTranslation",
  "RandomZoom",
  "Solarization",
];

export const augmentationSpecs: readonly LayerSpec[] = [
  ...names.map((name) => augmentation(name)),
  augmentation("CutMix", { couplesBatch: true }),
  augmentation("MixUp", { couplesBatch: true }),
  resized("RandomHeight", 1),
  resized("RandomWidth", 2),
];
