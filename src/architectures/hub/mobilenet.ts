import type { Json, JsonObject } from "../../checkpoint.ts";
import type { Output } from "../network-output.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import type { HubLayer, HubNetwork } from "./hub-network.ts";
import { activationOf, listOf, numberOf, numbersOf } from "./hub-network.ts";

/**
 * MobileNetV3 and its relatives.
 *
 * Source: `keras_hub/src/models/mobilenet/mobilenet_backbone.py`.
 */
export const mobilenetBackbone: HubBackbone = {
  className: "MobileNetBackbone",
  networks: "MobileNetV3 and its relatives",
  build: (net, config) => {
    const filters = rounded(numberOf(config, "input_num_filters", 16));
    let x = net.layer("ZeroPadding2D", { padding: [1, 1] }, net.input, "input_pad");
    const own = { filters, kernel_size: [3, 3], strides: [2, 2], use_bias: false };
    x = net.layer("Conv2D", own, x, "input_conv");
    x = net.layer("BatchNormalization", normalization, x, "input_batch_norm");
    x = net.layer("Activation", { activation: activationOf(config, "input_activation") }, x);
    x = depthwiseBlock(net, x, filters, config);
    const counts = numbersOf(config, "stackwise_num_blocks");
    for (const [stack, count] of counts.entries()) {
      for (let block = 0; block < count; block++) {
        const argument = (name: string): Json => cell(config, name, stack, block);
        x = invertedBlock(net, x, argument, `block_${stack + 1}_${block}`);
      }
    }
    const last = rounded(numberOf(config, "last_layer_filter"));
    return net.composite("ConvBnActBlock", `block_${counts.length + 1}_0`, x, (add, given, name) => {
      let y = add("conv", "Conv2D", pointwise(last), given, `${name}_conv`);
      y = add("batch_normalization", "BatchNormalization", normalization, y, `${name}_bn`);
      return add("activation_layer", "Activation", { activation: "hard_silu" }, y);
    });
  },
};

/**
 * The head of MobileNet's classifier.
 *
 * Source: `keras_hub/src/models/mobilenet/mobilenet_image_classifier.py`.
 */
export const mobilenetHead: HubHead = {
  scores: "predictions",
  hasActivation: false,
  build: (net, config, features) => {
    let x = net.layer("GlobalAveragePooling2D", { keepdims: true }, features, "pooler");
    const own = { filters: numberOf(config, "num_features", 1024), kernel_size: [1, 1] };
    x = net.layer("Conv2D", { ...own, activation: "hard_silu" }, x, "classifier_conv");
    x = net.layer("Flatten", {}, x);
    const scores = { units: numberOf(config, "num_classes"), activation: "linear" };
    return net.layer("Dense", scores, x, "predictions");
  },
};

const normalization: JsonObject = { axis: -1, epsilon: 1e-5, momentum: 0.9 };

function pointwise(filters: number): JsonObject {
  return { filters, kernel_size: [1, 1], use_bias: false };
}

/** Rounds a number of filters to a multiple of eight that is not more than a tenth below it. */
function rounded(filters: number): number {
  const near = Math.max(8, Math.floor(Math.trunc(filters + 4) / 8) * 8);
  return near < 0.9 * filters ? near + 8 : near;
}

function cell(config: JsonObject, name: string, stack: number, block: number): Json {
  const row: Json = listOf(config, name)[stack] ?? null;
  return Array.isArray(row) ? ((row as readonly Json[])[block] ?? null) : row;
}

function depthwiseBlock(net: HubNetwork, given: Output, infilters: number, config: JsonObject): Output {
  const filters = numberOf(config, "depthwise_filters");
  const stride = numberOf(config, "depthwise_stride");
  const ratio = config["squeeze_and_excite"];
  return net.composite("DepthwiseConvBlock", "block_0_0", given, (add, start, name) => {
    let x = add("pad", "ZeroPadding2D", { padding: [1, 1] }, start, `${name}_pad`);
    x = add("conv1", "Conv2D", depthwise(infilters, 3, stride), x, `${name}_conv1`);
    x = add("batch_normalization1", "BatchNormalization", normalization, x, `${name}_bn1`);
    x = add("activation1", "ReLU", {}, x);
    if (typeof ratio === "number" && ratio > 0) {
      x = squeezed(add, "se_layer", x, infilters, ratio, `${name}_squeeze_excite`);
    }
    x = add("conv2", "Conv2D", pointwise(filters), x, `${name}_conv2`);
    x = add("batch_normalization2", "BatchNormalization", normalization, x, `${name}_bn2`);
    return config["depthwise_residual"] === true ? add(null, "Add", {}, [x, start]) : x;
  });
}

function invertedBlock(
  net: HubNetwork,
  given: Output,
  argument: (name: string) => Json,
  blockName: string,
): Output {
  const infilters = given.shape[3];
  const wide = rounded(Number(argument("stackwise_expansion")));
  const filters = rounded(Number(argument("stackwise_num_filters")));
  const stride = Number(argument("stackwise_num_strides"));
  const [size, padding] = [Number(argument("stackwise_kernel_size")), Number(argument("stackwise_padding"))];
  const activation = { activation: activationOf({ activation: argument("stackwise_activation") }) };
  const ratio = argument("stackwise_se_ratio");
  return net.composite("InvertedResidualBlock", blockName, given, (add, start, name) => {
    let x = add("conv1", "Conv2D", pointwise(wide), start, `${name}_conv1`);
    x = add("batch_normalization1", "BatchNormalization", normalization, x, `${name}_bn1`);
    x = add("activation1", "Activation", activation, x);
    x = add("pad", "ZeroPadding2D", { padding: [padding, padding] }, x, `${name}_pad`);
    x = add("conv2", "Conv2D", depthwise(wide, size, stride), x, `${name}_conv2`);
    x = add("batch_normalization2", "BatchNormalization", normalization, x, `${name}_bn2`);
    x = add("activation2", "Activation", activation, x);
    if (typeof ratio === "number" && ratio > 0) {
      x = squeezed(add, "squeeze_excite", x, wide, ratio, `${name}_se`);
    }
    x = add("conv3", "Conv2D", pointwise(filters), x, `${name}_conv3`);
    x = add("batch_normalization3", "BatchNormalization", normalization, x, `${name}_bn3`);
    return stride === 1 && infilters === filters ? add(null, "Add", {}, [start, x]) : x;
  });
}

function depthwise(filters: number, size: number, stride: number): JsonObject {
  const window = { kernel_size: [size, size], strides: [stride, stride], padding: "valid" };
  return { filters, ...window, groups: filters, use_bias: false };
}

/** Adds a squeeze-and-excitation: channels are scaled by what two convolutions make of their means. */
function squeezed(
  add: HubLayer,
  attribute: string,
  given: Output,
  filters: number,
  ratio: number,
  blockName: string,
): Output {
  const bottleneck = rounded(filters * ratio);
  return add.composite(attribute, "SqueezeAndExcite2D", blockName, given, (inner, start, name) => {
    let x = inner(null, "GlobalAveragePooling2D", { keepdims: true }, start);
    const convolution = (count: number) => ({ filters: count, kernel_size: [1, 1] });
    x = inner("conv_reduce", "Conv2D", convolution(bottleneck), x, `${name}_conv_reduce`);
    x = inner("activation1", "Activation", { activation: "relu" }, x, `${name}squeeze_activation`);
    x = inner("conv_expand", "Conv2D", convolution(filters), x, `${name}_conv_expand`);
    x = inner("gate", "Activation", { activation: "hard_sigmoid" }, x, `${name}excite_activation`);
    return inner(null, "Multiply", {}, [start, x]);
  });
}
