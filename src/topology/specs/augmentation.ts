import type { JsonObject } from "../../checkpoint.ts";
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
    inferenceOnly: true,
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
  "RandAugment",
  "RandomColorDegeneration",
  "RandomColorJitter",
  "RandomElasticTransform",
  "RandomErasing",
  "RandomGaussianBlur",
  "RandomGrayscale",
  "RandomHue",
  "RandomInvert",
  "RandomPerspective",
  "RandomPosterization",
  "RandomSaturation",
  "RandomSharpness",
  "RandomShear",
  "Solarization",
];

/** Those that training runs too. */
function trained(className: string, defaults: JsonObject, more: Partial<LayerSpec> = {}): LayerSpec {
  return augmentation(className, {
    defaults: { data_format: "channels_last", ...defaults },
    inferenceOnly: false,
    ...more,
  });
}

const moved: JsonObject = { fill_mode: "reflect", interpolation: "bilinear", fill_value: 0 };

export const augmentationSpecs: readonly LayerSpec[] = [
  trained("RandomFlip", { mode: "horizontal_and_vertical" }),
  trained("RandomRotation", moved),
  trained("RandomZoom", { ...moved, width_factor: null }),
  trained("RandomTranslation", moved),
  trained("RandomContrast", { value_range: [0, 255] }),
  trained("RandomBrightness", { value_range: [0, 255] }),
  ...names.map((name) => augmentation(name)),
  augmentation("MaxNumBoundingBoxes", { random: false, inferenceOnly: false }),
  augmentation("CutMix", { couplesBatch: true }),
  augmentation("MixUp", { couplesBatch: true }),
  resized("RandomHeight", 1),
  resized("RandomWidth", 2),
];
