/** The transformations of `--augment` by name, each as layers of Keras (`keras/src/layers/preprocessing/image_preprocessing`). */
import type { JsonObject } from "../../checkpoint.ts";

/** A layer that changes images of 0-255 in training, as Keras would construct it. */
export interface AugmentationLayer {
  readonly className: string;
  readonly config: JsonObject;
}

/** Height, width and channels of the model's images. */
export type ImageShape = readonly [height: number, width: number, channels: number];

/** A transformation that takes one number, or one word. */
export interface TransformationDefinition {
  /** Explains the number or the word in help texts: `degrees either way`. */
  readonly meaning: string;
  /** The value that a bare name stands for. */
  readonly usual: number | string;
  /** The numbers that it takes, bounds included; or the words. */
  readonly range: readonly [least: number, most: number] | readonly string[];
  /** True if it takes whole numbers only. */
  readonly whole?: boolean;
  /** True if it needs colors: images of one channel have none. */
  readonly ofColors?: boolean;
  layers(value: number, image: ImageShape, word: string): readonly AugmentationLayer[];
}

const flipModes: Readonly<Record<string, string>> = {
  horizontal: "horizontal",
  vertical: "vertical",
  both: "horizontal_and_vertical",
};

/** In Keras a saturation or sharpness factor of 1/2 leaves the image; `share` is how far it may go from there, 1 all the way. */
function aroundHalf(share: number): readonly [number, number] {
  return [0.5 - share / 2, 0.5 + share / 2];
}

function either(share: number): readonly [number, number] {
  return [-share, share];
}

function layer(className: string, config: JsonObject): readonly AugmentationLayer[] {
  return [{ className, config }];
}

/** Every transformation by its name, in the order in which help texts list them. */
export const transformations: Readonly<Record<string, TransformationDefinition>> = {
  flip: {
    meaning: "horizontal, vertical or both",
    usual: "horizontal",
    range: Object.keys(flipModes),
    layers: (_value, _image, word) => layer("RandomFlip", { mode: flipModes[word] ?? word }),
  },
  rotate: {
    meaning: "degrees either way",
    usual: 10,
    range: [0, 180],
    layers: (degrees) => layer("RandomRotation", { factor: either(degrees / 360) }),
  },
  zoom: {
    meaning: "share of the image in or out",
    usual: 0.1,
    range: [0, 0.9],
    layers: (share) => layer("RandomZoom", { height_factor: either(share) }),
  },
  crop: {
    meaning: "share of each side that a crop keeps, which is then resized back",
    usual: 0.875,
    range: [0.1, 1],
    layers: (share, [height, width]) => [
      {
        className: "RandomCrop",
        config: {
          height: Math.max(1, Math.round(share * height)),
          width: Math.max(1, Math.round(share * width)),
        },
      },
      { className: "Resizing", config: { height, width } },
    ],
  },
  translate: {
    meaning: "share of the sides either way",
    usual: 0.1,
    range: [0, 1],
    layers: (share) =>
      layer("RandomTranslation", { height_factor: either(share), width_factor: either(share) }),
  },
  shear: {
    meaning: "pixels sideways a pixel down",
    usual: 0.1,
    range: [0, 1],
    layers: (share) => layer("RandomShear", { x_factor: [0, share], y_factor: [0, share] }),
  },
  perspective: {
    meaning: "share by which corners move",
    usual: 0.2,
    range: [0, 1],
    layers: (scale) => layer("RandomPerspective", { factor: [1, 1], scale }),
  },
  elastic: {
    meaning: "strength of the distortion",
    usual: 0.5,
    range: [0, 1],
    layers: (scale) => layer("RandomElasticTransform", { factor: [1, 1], scale: [0, scale] }),
  },
  brightness: {
    meaning: "share of the range of values either way",
    usual: 0.2,
    range: [0, 1],
    layers: (share) => layer("RandomBrightness", { factor: either(share) }),
  },
  contrast: {
    meaning: "share of the contrast either way",
    usual: 0.2,
    range: [0, 1],
    layers: (share) => layer("RandomContrast", { factor: [share, share] }),
  },
  hue: {
    meaning: "share of half a turn of the color circle, either way",
    usual: 0.1,
    range: [0, 1],
    ofColors: true,
    layers: (share) => layer("RandomHue", { factor: [0, share] }),
  },
  saturation: {
    meaning: "how far toward gray or full colors, 1 all the way",
    usual: 0.2,
    range: [0, 1],
    ofColors: true,
    layers: (share) => layer("RandomSaturation", { factor: aroundHalf(share) }),
  },
  grayscale: {
    meaning: "probability",
    usual: 0.1,
    range: [0, 1],
    ofColors: true,
    layers: (factor) => layer("RandomGrayscale", { factor }),
  },
  invert: {
    meaning: "probability",
    usual: 0.1,
    range: [0, 1],
    layers: (factor) => layer("RandomInvert", { factor: [factor, factor] }),
  },
  posterize: {
    meaning: "bits that a value keeps at least",
    usual: 4,
    range: [1, 8],
    whole: true,
    layers: (bits) => layer("RandomPosterization", { factor: [bits, 8] }),
  },
  sharpness: {
    meaning: "how far toward blurred or sharpened, 1 all the way",
    usual: 0.5,
    range: [0, 1],
    layers: (share) => layer("RandomSharpness", { factor: aroundHalf(share) }),
  },
  blur: {
    meaning: "standard deviation in pixels, at most",
    usual: 1,
    range: [0.1, 10],
    layers: (sigma) =>
      layer("RandomGaussianBlur", {
        factor: [1, 1],
        kernel_size: 2 * Math.ceil(2 * sigma) + 1,
        sigma: [0, sigma],
      }),
  },
  noise: {
    meaning: "standard deviation in values of 0-255",
    usual: 8,
    range: [0, 255],
    layers: (stddev) => layer("GaussianNoise", { stddev }),
  },
  cutout: {
    meaning: "share of the area that a gray box covers, at most",
    usual: 0.2,
    range: [0.02, 1],
    layers: (share) => layer("RandomErasing", { factor: [1, 1], scale: [0.02, share], fill_value: 127.5 }),
  },
  randaugment: {
    meaning: "strength of two transformations drawn from eleven",
    usual: 0.3,
    range: [0, 1],
    layers: (factor) => layer("RandAugment", { num_ops: 2, factor: [0, factor] }),
  },
  augmix: {
    meaning: "strength of chains of transformations that are mixed",
    usual: 0.3,
    range: [0, 1],
    layers: (factor) => layer("AugMix", { factor: [0, factor] }),
  },
};

/** Mixtures of two samples and their targets; the number is the alpha of a Beta(alpha, alpha) distribution. */
export const mixtures = {
  mixup: { meaning: "alpha; two samples' features and targets are averaged", usual: 0.2, range: [0.01, 10] },
  cutmix: {
    meaning: "alpha; a box of another image is pasted in, with views 0",
    usual: 1,
    range: [0.01, 10],
  },
} as const;

/** Layers that move pixels, so that a mask of the image would have to move with them. */
export const movingLayers: ReadonlySet<string> = new Set([
  "AugMix",
  "RandAugment",
  "RandomCrop",
  "RandomElasticTransform",
  "RandomFlip",
  "RandomPerspective",
  "RandomRotation",
  "RandomShear",
  "RandomTranslation",
  "RandomZoom",
  "Resizing",
]);

export type Mixture = keyof typeof mixtures;

/** Transformations by the name of a strength. */
export const strengths: Readonly<Record<string, string>> = {
  light: "flip,rotate=5,zoom=0.1,brightness=0.1,contrast=0.1",
  medium: "flip,rotate=10,zoom=0.15,translate=0.1,brightness=0.2,contrast=0.2,saturation=0.2",
  strong:
    "flip,rotate=20,zoom=0.25,translate=0.15,shear=0.1,brightness=0.3,contrast=0.3,saturation=0.4,hue=0.05,blur=1,cutout=0.2",
};
