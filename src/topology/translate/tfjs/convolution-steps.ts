import type { JsonObject } from "../../../checkpoint.ts";
import { sizesAt } from "../../config-values.ts";
import { activated, followedBy, type TfjsActivation } from "./activation-steps.ts";
import {
  picked,
  refuse,
  refuseChannelsFirst,
  type SourceLayer,
  type StepRule,
  type TfjsStep,
} from "./step.ts";
import { trainingArguments } from "./training-arguments.ts";

const convolutionKeys = "kernel_size strides padding data_format dilation_rate use_bias";

function convolution(layer: SourceLayer, activation: TfjsActivation): readonly TfjsStep[] {
  const { className, config } = layer;
  if ((config["groups"] ?? 1) !== 1) return channelwise(layer, activation);
  if (config["padding"] === "causal") refuse(layer, "does not support causal padding");
  if (className === "Conv1D") refuseChannelsFirst(layer);
  return activated(layer, activation, `filters ${convolutionKeys}`, "kernel", "bias");
}

/**
 * Translates a Conv2D with as many groups as input channels to a DepthwiseConv2D. Its kernel
 * `[height, width, 1, channels * multiplier]` holds the same numbers in the same order as
 * `[height, width, channels, multiplier]`.
 */
function channelwise(layer: SourceLayer, { name, after }: TfjsActivation): readonly TfjsStep[] {
  const { className, config, inputs, weights } = layer;
  const groups = Number(config["groups"]);
  const filters = Number(config["filters"]);
  const channels = inputs[0]?.at(config["data_format"] === "channels_first" ? 1 : -1);
  const kernel = weights.find((weight) => weight.name === "kernel");
  if (className !== "Conv2D" || channels !== groups || !kernel || isDilated(config)) {
    return refuse(layer, "does not support groups");
  }
  const multiplier = filters / groups;
  const own = picked(config, "kernel_size strides padding data_format use_bias".split(" "));
  const shape = [...kernel.shape.slice(0, 2), groups, multiplier];
  const step: TfjsStep = {
    className: "DepthwiseConv2D",
    config: { ...own, depth_multiplier: multiplier, activation: name, ...trainingArguments(config, "bias") },
    weighted: true,
    weightsAs: { kernel: { name: "depthwise_kernel", shape } },
  };
  return followedBy([step], after);
}

/** Translates a transposed convolution, if its output has the one size that tfjs-layers computes for its padding. */
function transposed(layer: SourceLayer, activation: TfjsActivation): readonly TfjsStep[] {
  const { config, inputs, outputs } = layer;
  const rank = (inputs[0]?.length ?? 2) - 2;
  const first = config["data_format"] === "channels_first" ? 2 : 1;
  const sizes = (key: string): number[] => sizesAt({ [key]: 1, ...config }, key, rank);
  if (sizes("dilation_rate").some((rate) => rate !== 1)) refuse(layer, "does not support dilation");
  const kernel = sizes("kernel_size");
  sizes("strides").forEach((stride, axis) => {
    const from = inputs[0]?.[first + axis];
    const to = outputs[0]?.[first + axis];
    if (from == null || to == null) {
      if (config["output_padding"] != null) refuse(layer, "does not support output_padding");
      return;
    }
    const beyond = config["padding"] === "same" ? 0 : Math.max((kernel[axis] ?? 1) - stride, 0);
    const made = from * stride + beyond;
    if (made !== to) refuse(layer, `computes an output of size ${made} from ${from}, Keras of ${to}`);
  });
  return activated(
    layer,
    activation,
    "filters kernel_size strides padding data_format use_bias",
    "kernel",
    "bias",
  );
}

function depthwise(layer: SourceLayer, activation: TfjsActivation): readonly TfjsStep[] {
  if (isDilated(layer.config)) refuse(layer, "ignores its dilation_rate");
  const keys = "kernel_size strides padding data_format use_bias depth_multiplier";
  return activated(layer, activation, keys, "depthwise", "bias");
}

function separable(layer: SourceLayer, activation: TfjsActivation): readonly TfjsStep[] {
  refuseChannelsFirst(layer);
  return activated(
    layer,
    activation,
    `filters ${convolutionKeys} depth_multiplier`,
    "depthwise",
    "pointwise",
    "bias",
  );
}

function isDilated(config: JsonObject): boolean {
  return sizesAt({ dilation_rate: 1, ...config }, "dilation_rate", 2).some((rate) => rate !== 1);
}

/**
 * Returns the rules for convolution layers.
 * @param activationIn Translates a layer's activation.
 */
export function convolutionSteps(
  activationIn: (layer: SourceLayer) => TfjsActivation,
): readonly (readonly [string, StepRule])[] {
  const rules: Readonly<Record<string, typeof convolution>> = {
    Conv1D: convolution,
    Conv2D: convolution,
    Conv3D: convolution,
    Conv2DTranspose: transposed,
    Conv3DTranspose: transposed,
    DepthwiseConv2D: depthwise,
    SeparableConv2D: separable,
  };
  return Object.entries(rules).map(([className, rule]) => [
    className,
    (layer) => rule(layer, activationIn(layer)),
  ]);
}
