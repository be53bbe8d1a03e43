import type { Json, JsonObject } from "../../checkpoint.ts";
import type { Output } from "../network-output.ts";
import { addFusedBlock, addPlainBlock, addUnfusedBlock } from "./efficientnet-blocks.ts";
import { convolution, type EfficientNetBlock } from "./efficientnet-parts.ts";
import type { HubBackbone } from "./hub-class.ts";
import type { HubNetwork } from "./hub-network.ts";
import { activationOf, listOf, numberOf, numbersOf, textOf } from "./hub-network.ts";

/**
 * EfficientNet, EfficientNetV2 and EfficientNet-Lite: blocks of type `v1`, `unfused`, `fused` or `cba`.
 *
 * Source: `keras_hub/src/models/efficientnet/efficientnet_backbone.py`.
 */
export const efficientnetBackbone: HubBackbone = {
  className: "EfficientNetBackbone",
  networks: "EfficientNet, EfficientNetV2, EfficientNet-Lite",
  shapeKey: "input_shape",
  build: (net, config) => {
    const lists = Object.fromEntries(
      ["width_coefficients", "input_filters", "output_filters", "num_repeats", "depth_coefficients"].map(
        (name) => [name, numbersOf(config, `stackwise_${name}`)],
      ),
    );
    const listed = (name: string, stack: number): number => lists[name]?.[stack] ?? 0;
    const width = (filters: number, stack: number): number =>
      roundedFilters(filters * listed("width_coefficients", stack), config);
    const activation = activationOf(config);
    const types = listOf(config, "stackwise_block_types");
    const given = config["stackwise_nores_option"] ?? [];
    const plain: readonly Json[] = Array.isArray(given) ? given : [];
    let x = stem(net, config, width(listed("input_filters", 0), 0));
    let done = 0;
    const count = types.reduce<number>((sum, _, stack) => sum + listed("num_repeats", stack), 0);
    for (const [stack, type] of types.entries()) {
      const forced = numbersOf(config, "stackwise_force_input_filters")[stack] ?? 0;
      const outputs = width(listed("output_filters", stack), stack);
      const repeats = Math.ceil(listed("depth_coefficients", stack) * listed("num_repeats", stack));
      for (let repeat = 0; repeat < repeats; repeat++) {
        const inputs = repeat === 0 ? width(listed("input_filters", stack), stack) : outputs;
        const block: EfficientNetBlock = {
          inputs: forced > 0 ? width(forced, stack) : inputs,
          outputs,
          size: at(config, "stackwise_kernel_sizes", stack),
          stride: repeat === 0 ? at(config, "stackwise_strides", stack) : 1,
          // A block of type v1 has no such argument.
          isPlain: type !== "v1" && plain[stack] === true,
          expansion: at(config, "stackwise_expansion_ratios", stack),
          squeeze: at(config, "stackwise_squeeze_and_excite_ratios", stack),
          dropout: (numberOf(config, "dropout", 0.2) * done) / count,
          activation,
          projection: projectionOf(config),
          momentum: numberOf(config, "batch_norm_momentum", 0.9),
          epsilon: numberOf(config, "batch_norm_epsilon", 1e-5),
          name: `block${stack + 1}${String.fromCharCode(97 + repeat)}_`,
        };
        x = addBlock(net, x, type, block);
        done++;
      }
    }
    const top = width(numberOf(config, "num_features", 1280), types.length - 1);
    x = net.layer("Conv2D", { ...convolution(top, 1), padding: "same" }, x, "top_conv");
    x = net.layer("BatchNormalization", normalization(config), x, "top_bn");
    return net.layer("Activation", { activation }, x, "top_activation");
  },
};

function addBlock(net: HubNetwork, given: Output, type: Json, block: EfficientNetBlock): Output {
  if (type === "v1") return addPlainBlock(net, given, block);
  return type === "unfused"
    ? addUnfusedBlock(net, given, block)
    : addFusedBlock(net, given, block, type === "cba");
}

function stem(net: HubNetwork, config: JsonObject, filters: number): Output {
  const isPadded = config["include_stem_padding"] !== false;
  let x = isPadded ? net.layer("ZeroPadding2D", { padding: [1, 1] }, net.input, "stem_conv_pad") : net.input;
  const padding = "stem_conv_padding" in config ? textOf(config, "stem_conv_padding") : "valid";
  x = net.layer("Conv2D", { ...convolution(filters, 3, 2), padding }, x, "stem_conv");
  x = net.layer("BatchNormalization", normalization(config), x, "stem_bn");
  return net.layer("Activation", { activation: activationOf(config) }, x, "stem_activation");
}

function normalization(config: JsonObject): JsonObject {
  return {
    axis: -1,
    momentum: numberOf(config, "batch_norm_momentum", 0.9),
    epsilon: numberOf(config, "batch_norm_epsilon", 1e-5),
  };
}

function projectionOf(config: JsonObject): string | null {
  return (config["projection_activation"] ?? null) === null
    ? null
    : activationOf(config, "projection_activation");
}

function at(config: JsonObject, name: string, stack: number): number {
  return numbersOf(config, name)[stack] ?? 0;
}

/** Rounds a scaled number of filters to a multiple of the divisor (`round_filters`). */
function roundedFilters(filters: number, config: JsonObject): number {
  const divisor = numberOf(config, "depth_divisor", 8);
  const least =
    config["use_depth_divisor_as_min_depth"] === true ? divisor : numberOf(config, "min_depth", 8);
  const near = Math.max(least, Math.floor(Math.trunc(filters + divisor / 2) / divisor) * divisor);
  const isCapped = config["cap_round_filter_decrease"] === true && near < 0.9 * filters;
  return Math.trunc(isCapped ? near + divisor : near);
}
