import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, countAt, sizesAt, stringAt } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { glorotUniform, variable, zeros } from "./variables.ts";
import type { Window } from "./windows.ts";
import { channelCount, imageShape, requireRank, sampleSize, spatialShape, windowAt } from "./windows.ts";

/**
 * Creates the spec of a transposed convolution (`keras/src/layers/convolutional/base_conv_transpose.py`), whose kernel
 * has the outputs before the inputs.
 */
function transposedConvolution(className: string, rank: number): LayerSpec {
  const weights = ({ config, inputs }: CallShapes): WeightSpec[] => {
    const channels = channelCount(inputs[0], config);
    const filters = countAt(config, "filters");
    return [
      variable(config, "kernel", [...sizesAt(config, "kernel_size", rank), filters, channels]),
      ...(booleanAt(config, "use_bias") ? [variable(config, "bias", [filters])] : []),
    ];
  };
  return {
    className,
    defaults: {
      strides: 1,
      padding: "valid",
      output_padding: null,
      data_format: "channels_last",
      dilation_rate: 1,
      activation: "linear",
      use_bias: true,
      kernel_initializer: glorotUniform,
      bias_initializer: zeros,
      kernel_regularizer: null,
      bias_regularizer: null,
      activity_regularizer: null,
      kernel_constraint: null,
      bias_constraint: null,
    },
    weights,
    outputShapes: ({ config, inputs }) => [
      transposedShape(config, inputs[0], rank, countAt(config, "filters")),
    ],
    // Each input value is multiplied by each tap of each filter once.
    multiplyAdds: ({ config, inputs }) =>
      sizesAt(config, "kernel_size", rank).reduce(
        (product, size) => product * size,
        sampleSize(inputs[0]) * countAt(config, "filters"),
      ),
  };
}

/** Infers the output shape of a transposed convolution over `rank` spatial axes. */
export function transposedShape(config: JsonObject, input: Shape, rank: number, filters: number): Shape {
  requireRank(input, rank + 2);
  const sizes = sizesAt(config, "kernel_size", rank);
  const strides = sizesAt(config, "strides", rank);
  const dilations = sizesAt(config, "dilation_rate", rank);
  const padding = stringAt(config, "padding");
  const extra = config["output_padding"] == null ? null : sizesAt(config, "output_padding", rank, 0);
  const spatial = spatialShape(input, config).map((length, axis) => {
    const window = windowAt(axis, sizes, strides, dilations);
    return spreadLength(length, window, padding, extra?.[axis] ?? null);
  });
  return imageShape(input[0] ?? null, spatial, filters, config);
}

/** Returns the number of positions that a transposed window writes (`keras/src/backend/common/backend_utils.py`). */
function spreadLength(
  length: number | null,
  window: Window,
  padding: string,
  extra: number | null,
): number | null {
  if (length === null) return null;
  const span = (window.size - 1) * window.dilation + 1;
  const spread = (length - 1) * window.stride;
  if (padding === "valid") return spread + span + (extra ?? Math.max(span, window.stride) - span);
  if (padding === "same") return extra === null ? length * window.stride : spread + (span % 2) + extra;
  throw new TopologyError(`padding: expected valid or same, got ${JSON.stringify(padding)}.`);
}

export const convolutionTransposeSpecs: readonly LayerSpec[] = [
  transposedConvolution("Conv1DTranspose", 1),
  transposedConvolution("Conv2DTranspose", 2),
  transposedConvolution("Conv3DTranspose", 3),
];
