import type { Json, JsonObject } from "../../checkpoint.ts";
import type { Composite, CompositeCall, Operation } from "./tf-composite.ts";
import { isChannelsFirst, spatial } from "./tf-functions.ts";

/** @file TensorFlow's convolutions, whose kernels are laid out as Keras's. Strides stand for all four axes there, or for those of space. */

type Kernel = "filter" | "filters" | "depthwise_filter";

function convolution(className: string, rank: 1 | 2 | 3, ...kernels: readonly string[]): Composite {
  return {
    operands: kernels,
    build: (call) => {
      const given = call.operands.filter((operand) => operand !== undefined);
      const options = windowOf(call.given, rank);
      if (given.length === 0 || !options) return undefined;
      const { padding = "VALID" } = call.given;
      const x = Array.isArray(padding) ? padded(call, padding) : call.x;
      return {
        className: `ops.${className}`,
        config: { ...options, padding: Array.isArray(padding) ? "valid" : String(padding).toLowerCase() },
        args: [x, ...given],
      };
    },
  };
}

/** Strides and dilations; undefined for channels that stand first. */
function windowOf(given: JsonObject, rank: number): JsonObject | undefined {
  if (isChannelsFirst(given["data_format"])) return undefined;
  const strides = spatial(given["strides"] ?? given["stride"] ?? 1, rank);
  const dilation = spatial(given["dilations"] ?? given["rate"] ?? 1, rank);
  return { strides, dilation_rate: dilation, data_format: "channels_last" };
}

function padded({ x, apply }: CompositeCall, margins: Json): CompositeCall["x"] {
  const operation: Operation = {
    className: "ops.Pad",
    config: { pad_width: margins, mode: "constant" },
    args: [x],
  };
  return apply(operation);
}

const filters: readonly Kernel[] = ["filter", "filters"];

export const convolutions: Readonly<Record<string, Composite>> = {
  "nn.conv1d": convolution("Conv", 1, ...filters),
  "nn.conv2d": convolution("Conv", 2, ...filters),
  "nn.conv3d": convolution("Conv", 3, ...filters),
  "nn.depthwise_conv2d": convolution("DepthwiseConv", 2, ...filters),
  "nn.separable_conv2d": convolution("SeparableConv", 2, "depthwise_filter", "pointwise_filter"),
};
