import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, countAt, sizesAt, stringAt } from "../config-values.ts";
import type { CallShapes, LayerSpec, WeightSpec } from "../layer-spec.ts";
import { glorotUniform, variable, withLowRank, zeros } from "./variables.ts";
import {
  channelCount,
  imageShape,
  requireRank,
  sampleSize,
  spatialShape,
  visitedLength,
  windowAt,
} from "./windows.ts";

const common: JsonObject = {
  strides: 1,
  padding: "valid",
  data_format: "channels_last",
  dilation_rate: 1,
  activation: "linear",
  use_bias: true,
  bias_initializer: zeros,
  bias_regularizer: null,
  activity_regularizer: null,
  bias_constraint: null,
};

/** Creates the spec of a convolution (`keras/src/layers/convolutional/base_conv.py`). */
function convolution(className: string, rank: number): LayerSpec {
  const weights = ({ config, inputs }: CallShapes): WeightSpec[] => {
    const channels = channelCount(inputs[0], config);
    const groups = countAt(config, "groups");
    const filters = countAt(config, "filters");
    if (channels % groups !== 0 || filters % groups !== 0) {
      throw new TopologyError(
        `groups: expected a divisor of ${channels} channels and ${filters} filters, got ${groups}.`,
        "shape",
      );
    }
    const shape = [...sizesAt(config, "kernel_size", rank), channels / groups, filters];
    return withLowRank(config, [variable(config, "kernel", shape), ...bias(config, filters)]);
  };
  const kernelShape = (call: CallShapes): readonly number[] => weights(call)[0]?.shape ?? [];
  return {
    className,
    defaults: {
      ...common,
      groups: 1,
      kernel_initializer: glorotUniform,
      kernel_regularizer: null,
      kernel_constraint: null,
    },
    weights,
    outputShapes: ({ config, inputs }) => [convolved(config, inputs[0], rank, countAt(config, "filters"))],
    multiplyAdds: (call) => perOutput(call.outputs[0], kernelShape(call), -1),
  };
}

const depthwiseDefaults: JsonObject = {
  ...common,
  depth_multiplier: 1,
  depthwise_initializer: glorotUniform,
  depthwise_regularizer: null,
  depthwise_constraint: null,
};

/**
 * Creates the spec of a depthwise convolution (`keras/src/layers/convolutional/base_depthwise_conv.py`). Keras 1 and 2
 * named the kernel `depthwise_kernel`.
 */
function depthwise(className: string, rank: number): LayerSpec {
  const weights = ({ config, inputs }: CallShapes): WeightSpec[] => {
    const channels = channelCount(inputs[0], config);
    const multiplier = countAt(config, "depth_multiplier");
    const shape = [...sizesAt(config, "kernel_size", rank), channels, multiplier];
    return [
      variable(config, "kernel", shape, { argument: "depthwise", formerNames: ["depthwise_kernel"] }),
      ...bias(config, channels * multiplier),
    ];
  };
  const kernelShape = (call: CallShapes): readonly number[] => weights(call)[0]?.shape ?? [];
  return {
    className,
    defaults: depthwiseDefaults,
    weights,
    outputShapes: ({ config, inputs }) => {
      requireRank(inputs[0], rank + 2);
      const filters = channelCount(inputs[0], config) * countAt(config, "depth_multiplier");
      return [convolved(config, inputs[0], rank, filters)];
    },
    multiplyAdds: (call) => perOutput(call.outputs[0], kernelShape(call), -2),
  };
}

/** Creates the spec of a separable convolution (`keras/src/layers/convolutional/base_separable_conv.py`). */
function separable(className: string, rank: number): LayerSpec {
  const weights = ({ config, inputs }: CallShapes): WeightSpec[] => {
    const channels = channelCount(inputs[0], config);
    const multiplier = countAt(config, "depth_multiplier");
    const filters = countAt(config, "filters");
    const window = sizesAt(config, "kernel_size", rank);
    const point = window.map(() => 1);
    return [
      variable(config, "depthwise_kernel", [...window, channels, multiplier], { argument: "depthwise" }),
      variable(config, "pointwise_kernel", [...point, channels * multiplier, filters], {
        argument: "pointwise",
      }),
      ...bias(config, filters),
    ];
  };
  return {
    className,
    defaults: {
      ...depthwiseDefaults,
      pointwise_initializer: glorotUniform,
      pointwise_regularizer: null,
      pointwise_constraint: null,
    },
    weights,
    outputShapes: ({ config, inputs }) => [convolved(config, inputs[0], rank, countAt(config, "filters"))],
    multiplyAdds: (call) => {
      const { config, inputs } = call;
      const filters = countAt(config, "filters");
      const positions = sampleSize(call.outputs[0]) / filters;
      const wide = channelCount(inputs[0], config) * countAt(config, "depth_multiplier");
      const taps = product(sizesAt(config, "kernel_size", rank));
      return positions * (wide * taps + wide * filters);
    },
  };
}

function bias(config: JsonObject, filters: number): WeightSpec[] {
  return booleanAt(config, "use_bias") ? [variable(config, "bias", [filters])] : [];
}

/** Infers the output shape of a convolution over `rank` spatial axes. */
export function convolved(config: JsonObject, input: Shape, rank: number, filters: number): Shape {
  requireRank(input, rank + 2);
  const size = sizesAt(config, "kernel_size", rank);
  const strides = sizesAt(config, "strides", rank);
  const dilations = sizesAt(config, "dilation_rate", rank);
  const padding = stringAt(config, "padding");
  const spatial = spatialShape(input, config).map((length, axis) =>
    visitedLength(length, windowAt(axis, size, strides, dilations), padding),
  );
  return imageShape(input[0] ?? null, spatial, filters, config);
}

/** Counts multiply-adds: each output value reads the kernel's axes before `end`. */
function perOutput(output: Shape, kernelShape: readonly number[], end: number): number {
  return sampleSize(output) * product(kernelShape.slice(0, end));
}

function product(sizes: readonly number[]): number {
  return sizes.reduce((result, size) => result * size, 1);
}

export const convolutionSpecs: readonly LayerSpec[] = [
  convolution("Conv1D", 1),
  convolution("Conv2D", 2),
  convolution("Conv3D", 3),
  depthwise("DepthwiseConv1D", 1),
  depthwise("DepthwiseConv2D", 2),
  separable("SeparableConv1D", 1),
  separable("SeparableConv2D", 2),
];
