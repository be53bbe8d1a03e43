import type { Shape } from "../../tensor.ts";
import { channelsFirst, countAt, integersAt, positiveAxis } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { ones, zeros } from "./variables.ts";
import { knownSize, requireRank } from "./windows.ts";

/** `keras/src/layers/preprocessing/rescaling.py`; scale and offset are numbers or lists of one a channel. */
const rescaling: LayerSpec = {
  className: "Rescaling",
  defaults: { offset: 0 },
  outputShapes: ({ inputs }) => [inputs[0]!],
  elementwise: true,
  masking: true,
};

/** `keras/src/layers/preprocessing/normalization.py`: statistics are weights unless the config gives them. */
const normalization: LayerSpec = {
  className: "Normalization",
  defaults: { axis: [-1], mean: null, variance: null, invert: false },
  modernize: (config) => ({ ...config, axis: config["axis"] ?? [] }),
  weights: ({ config, inputs }) => {
    if (config["mean"] !== null) return [];
    const shape = keptAxes(config["axis"] === null ? [] : integersAt(config, "axis"), inputs[0]!);
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
  outputShapes: ({ inputs }) => [inputs[0]!],
  masking: true,
};

function keptAxes(axes: readonly number[], input: Shape): number[] {
  return axes
    .map((axis) => positiveAxis(axis, input.length))
    .sort((a, b) => a - b)
    .map((axis) => knownSize(input, axis, "features"));
}

/** `keras/src/layers/preprocessing/image_preprocessing/resizing.py` and `center_crop.py`. */
function toSize(
  className: string,
  defaults: LayerSpec["defaults"],
  more: Partial<LayerSpec> = {},
): LayerSpec {
  return {
    className,
    defaults: { data_format: "channels_last", ...defaults },
    outputShapes: ({ config, inputs }: CallShapes) => {
      const [batch = null, ...rest] = inputs[0]!;
      requireRank(inputs[0]!, 4);
      const size = [countAt(config, "height"), countAt(config, "width")];
      return [channelsFirst(config) ? [batch, rest[0]!, ...size] : [batch, ...size, rest[2]!]];
    },
    ...more,
  };
}

/** Of each image and channel by itself. */
const autoContrast: LayerSpec = {
  className: "AutoContrast",
  defaults: { value_range: [0, 255] },
  outputShapes: ({ inputs }) => [inputs[0]!],
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
  // Keras 3.15 foretells the crop at inference too, and gives the whole image.
  toSize("RandomCrop", {}, { random: true }),
  autoContrast,
];
