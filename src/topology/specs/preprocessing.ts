import type { Shape } from "../../tensor.ts";
import { channelsFirst, countAt, integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { ones, zeros } from "./variables.ts";
import { imageShape, knownSize, requireRank } from "./windows.ts";

/**
 * Rescaling (`keras/src/layers/preprocessing/rescaling.py`). Scale and offset are numbers or lists with one number a
 * channel.
 */
const rescaling: LayerSpec = {
  className: "Rescaling",
  defaults: { offset: 0 },
  outputShapes: ({ inputs }) => [inputs[0]],
  elementwise: true,
  masking: true,
};

/**
 * Normalization (`keras/src/layers/preprocessing/normalization.py`), whose statistics are weights unless the config has
 * them.
 */
const normalization: LayerSpec = {
  className: "Normalization",
  defaults: { axis: [-1], mean: null, variance: null, invert: false },
  modernize: (config) => ({ ...config, axis: config["axis"] ?? [] }),
  weights: ({ config, inputs }) => {
    if (config["mean"] !== null) return [];
    const shape = keptAxes(config["axis"] === null ? [] : integersAt(config, "axis"), inputs[0]);
    const statistic = (name: string, initializer: WeightSpec["initializer"]): WeightSpec => ({
      name,
      shape,
      trainable: false,
      initializer,
      regularizer: null,
    });
    return [
      statistic("mean", zeros),
      statistic("variance", ones),
      { ...statistic("count", zeros), shape: [], dtype: "int64" },
    ];
  },
  outputShapes: ({ inputs }) => [inputs[0]],
  masking: true,
};

function keptAxes(axes: readonly number[], input: Shape): number[] {
  return axes
    .map((axis) => positiveAxis(axis, input.length))
    .sort((a, b) => a - b)
    .map((axis) => knownSize(input, axis, "features"));
}

/** Creates the spec of a layer that changes the image size (`keras/src/layers/preprocessing/image_preprocessing/`). */
function toSize(
  className: string,
  defaults: LayerSpec["defaults"],
  more: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    className,
    defaults: { data_format: "channels_last", ...defaults },
    outputShapes: ({ config, inputs }: CallShapes) => {
      const [batch = null] = inputs[0];
      requireRank(inputs[0], 4);
      const size = [countAt(config, "height"), countAt(config, "width")];
      const channels = inputs[0][channelsFirst(config) ? 1 : 3] ?? null;
      return [imageShape(batch, size, channels, config)];
    },
    ...more,
  };
}

/** AutoContrast, which stretches each channel of each image on its own. */
const autoContrast: LayerSpec = {
  className: "AutoContrast",
  defaults: { value_range: [0, 255] },
  outputShapes: ({ inputs }) => [inputs[0]],
};

export const preprocessingSpecs: readonly LayerSpec[] = [
  rescaling,
  normalization,
  toSize("Resizing", {
    interpolation: "bilinear",
    crop_to_aspect_ratio: false,
    pad_to_aspect_ratio: false,
    fill_mode: "constant",
    fill_value: 0,
    antialias: false,
  }),
  toSize("CenterCrop", {}),
  // Keras 3.15 infers the cropped shape in inference too, although it then returns the whole image.
  toSize("RandomCrop", {}, { random: true }),
  autoContrast,
];
