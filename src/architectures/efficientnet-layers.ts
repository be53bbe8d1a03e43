import type { JsonObject } from "../checkpoint.ts";
import {
  activate,
  averageAll,
  type ConvolutionOptions,
  channelsOf,
  classify,
  convolve,
  normalize,
} from "./layers.ts";
import type { Network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** @file Layers that EfficientNet and EfficientNetV2 share. */

/** Initializer of every convolution. */
export const kernelInitializer: JsonObject = {
  class_name: "VarianceScaling",
  config: { scale: 2, mode: "fan_out", distribution: "truncated_normal", seed: null },
};

const headInitializer: JsonObject = {
  class_name: "VarianceScaling",
  config: { scale: 1 / 3, mode: "fan_out", distribution: "uniform", seed: null },
};

/** Adds a convolution without bias. */
export function plainConvolution(
  net: Network,
  given: Output,
  filters: number,
  size: number,
  options: ConvolutionOptions,
): Output {
  return convolve(net, given, filters, size, { bias: false, initializer: kernelInitializer, ...options });
}

/** Adds a BatchNormalization and an activation, named `name` + `bn` and `name` + `activation`. */
export function activated(net: Network, given: Output, config: JsonObject, name: string): Output {
  return activate(net, normalize(net, given, config, `${name}bn`), "silu", `${name}activation`);
}

/** Adds squeeze-and-excitation: each channel is scaled by a gate computed from the means of all channels. */
export function exciteChannels(net: Network, given: Output, squeezed: number, name: string): Output {
  const channels = channelsOf(given);
  const options = { padding: "same", initializer: kernelInitializer } as const;
  let x = averageAll(net, given, `${name}se_squeeze`);
  x = net.layer("Reshape", { target_shape: [1, 1, channels] }, x, `${name}se_reshape`);
  x = convolve(net, x, squeezed, 1, { ...options, activation: "silu", name: `${name}se_reduce` });
  x = convolve(net, x, channels, 1, { ...options, activation: "sigmoid", name: `${name}se_expand` });
  return net.layer("Multiply", {}, [given, x], `${name}se_excite`);
}

/** Adds the residual connection of a block, dropped for some samples in training (stochastic depth). */
export function addTo(net: Network, given: Output, x: Output, dropRate: number, name: string): Output {
  const dropout = { rate: dropRate, noise_shape: [null, 1, 1, 1] };
  const dropped = dropRate > 0 ? net.layer("Dropout", dropout, x, `${name}drop`) : x;
  return net.layer("Add", {}, [dropped, given], `${name}add`);
}

/** Adds the top: global average, dropout and class scores. */
export function efficientTop(
  net: Network,
  given: Output,
  dropRate: number,
  classes: number,
  initializers: JsonObject = {},
): Output {
  let x = averageAll(net, given, "avg_pool");
  x = net.layer("Dropout", { rate: dropRate }, x, "top_dropout");
  const own = { kernel_initializer: headInitializer, ...initializers };
  return classify(net, x, classes, { name: "predictions", initializers: own });
}
