/** Random image layers (`keras/src/layers/preprocessing/image_preprocessing`): they pass their input on but in training. */

import type { tf } from "../engine/tf.ts";
import { unsupported } from "./config.ts";
import type { Kernel, KernelCall } from "./kernel.ts";

const classNames = [
  "AugMix",
  "CutMix",
  "Equalization",
  "MaxNumBoundingBoxes",
  "MixUp",
  "RandAugment",
  "RandomColorDegeneration",
  "RandomColorJitter",
  "RandomElasticTransform",
  "RandomErasing",
  "RandomGaussianBlur",
  "RandomGrayscale",
  "RandomHeight",
  "RandomHue",
  "RandomInvert",
  "RandomPerspective",
  "RandomPosterization",
  "RandomSaturation",
  "RandomSharpness",
  "RandomShear",
  "RandomWidth",
  "Solarization",
];

export const augmentationKernels: Readonly<Record<string, Kernel>> = Object.fromEntries(
  classNames.map((className) => [className, (call: KernelCall) => untouched(className, call)]),
);

/** @throws {TopologyError} in training. */
function untouched(className: string, { inputs, config, context }: KernelCall): tf.Tensor {
  // Images have no boxes to count.
  if (!context.training || className === "MaxNumBoundingBoxes") return inputs[0]!;
  throw unsupported(
    config,
    `${className} in training`,
    "Freeze a layer after it, so that it passes images on, or remove it from the model.",
  );
}
