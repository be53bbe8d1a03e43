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
  if (config["padding"] === "causal") refuse(layer, "has no causal padding");
  if (className === "Conv1D") refuseChannelsFirst(layer);
  return activated(layer, activation, `filters ${convolutionKeys}`, "kernel", "bias");
}

/** A convolution of each channel alone is a depthwise one: its kernel `[h,w,1,c*m]` holds the same numbers as `[h,w,c,m]`. */
function channelwise(layer: SourceLayer, { name, after }: TfjsActivation): readonly TfjsStep[] {
  const { className, config, inputs, weights } = layer;
  const groups = Number(config["groups"]);
  const filters = Number(config["filters"]);
  const channels = inputs[0]?.at(config["data_format"] === "channels_first" ? 1 : -1);
  const kernel = weights.find((weight) => weight.name === "kernel");
  if (className !== "Conv2D" || channels !== groups || !kernel || isDilated(config)) {
    return refuse(layer, "has no groups");
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

/** tfjs-layers knows neither dilation nor output padding: what it makes of `same` and `valid` has one size. */
function transposed(layer: SourceLayer, activation: TfjsActivation): readonly TfjsStep[] {
  const { config, inputs, outputs } = layer;
  const rank = (inputs[0]?.length ?? 2) - 2;
  const first = config["data_format"] === "channels_first" ? 2 : 1;
  const [strides, kernel, dilation] = ["strides", "kernel_size", "dilation_rate"].map((key) =>
    sizesAt({ [key]: 1, ...config }, key, rank),
  ) as [number[], number[], number[]];
  if (dilation.some((rate) => rate !== 1)) refuse(layer, "has no dilation");
  strides.forEach((stride, axis) => {
    const from = inputs[0]?.[first + axis];
    const to = outputs[0]?.[first + axis];
    if (from == null || to == null) {
      if (config["output_padding"] != null) refuse(layer, "has no output_padding");
      return;
    }
    const made =
      config["padding"] === "same" ? from * stride : from * stride + Math.max(kernel[axis]! - stride, 0);
    if (made !== to) refuse(layer, `makes ${made} positions of ${from}, Keras ${to}`);
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

/** Rules for the convolutions. @param activationIn What becomes of a layer's activation. */
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
