/**
 * @file Random layers that change the size of images (`random_crop.py`; `RandomHeight` and `RandomWidth` of Keras 2).
 */
import { tf } from "../../engine/tf.ts";
import { numberAt, stringAt } from "../../topology/config-values.ts";
import { channelsLast } from "../axes.ts";
import type { Kernel } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import { croppedToAspectRatio, resized } from "../resampling.ts";
import type { DrawCall, RandomImage } from "./random-image.ts";
import { factorIn, randomImageKernel } from "./random-image.ts";

interface CropStart {
  readonly [name: string]: number;
  readonly hStart: number;
  readonly wStart: number;
}

/**
 * Crops at one position for the whole batch. An image that is not larger is cropped in the center, and the crop is
 * enlarged.
 */
const crop: RandomImage = {
  draw: ({ shape, config, draws, keras }): CropStart => {
    const [height, width] = [numberAt(config, "height"), numberAt(config, "width")];
    if (keras < 3 || (shape.height > height && shape.width > width)) {
      return {
        hStart: draws.integer(0, shape.height - height + 1),
        wStart: draws.integer(0, shape.width - width + 1),
      };
    }
    const middle = (size: number, cropped: number): number =>
      Math.trunc((size - Math.max(Math.min(size, Math.trunc(cropped)), 1)) / 2);
    return {
      hStart: middle(shape.height, (shape.width * height) / width),
      wStart: middle(shape.width, (shape.height * width) / height),
    };
  },
  transform: (images, { hStart, wStart }: CropStart, config) =>
    channelsLast(images, config, (x) => {
      const [count, high, wide, channels] = x.shape as [number, number, number, number];
      const size = [numberAt(config, "height"), numberAt(config, "width")] as const;
      const height = Math.min(size[0], high - hStart);
      const width = Math.min(size[1], wide - wStart);
      const part = tf.slice(x, [0, hStart, wStart, 0], [count, height, width, channels]);
      return height === size[0] && width === size[1] ? part : resized(part, size, "bilinear", false);
    }),
};

/**
 * Crops in the center at inference before Keras 3, and enlarges an image smaller than the crop. Keras 3 resizes the
 * whole image.
 */
const cropKernel: Kernel = (call) => {
  const { inputs, config, context } = call;
  if (context.keras === 3) return randomImageKernel(crop)(call);
  const size = [numberAt(config, "height"), numberAt(config, "width")] as const;
  const [, high, wide] = firstInput(inputs).shape as [number, number, number];
  if (context.training && high >= size[0] && wide >= size[1]) return randomImageKernel(crop)(call);
  return resized(croppedToAspectRatio(tf.cast(firstInput(inputs), "float32"), size), size, "bilinear", false);
};

function stretched(axis: "height" | "width"): RandomImage {
  return {
    draw: ({ shape, config, draws }: DrawCall) => {
      const [low, high] = factorIn(config, "factor");
      return { size: Math.trunc(draws.uniform(1 + low, 1 + high) * shape[axis]) };
    },
    transform: (images, { size }: { readonly size: number }, config) => {
      const [, high, wide] = images.shape as [number, number, number];
      const target = axis === "height" ? ([size, wide] as const) : ([high, size] as const);
      return resized(images, target, stringAt(config, "interpolation"), false);
    },
  };
}

export const sizeLayers: Readonly<Record<"RandomCrop" | "RandomHeight" | "RandomWidth", RandomImage>> = {
  RandomCrop: crop,
  RandomHeight: stretched("height"),
  RandomWidth: stretched("width"),
};

export const sizeKernels: Readonly<Record<string, Kernel>> = { RandomCrop: cropKernel };
