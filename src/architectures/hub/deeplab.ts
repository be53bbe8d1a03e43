import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { AddLayer } from "../network.ts";
import type { Output } from "../network-output.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import {
  activationOf,
  addEncoder,
  encoderConfig,
  type HubLayer,
  type HubNetwork,
  numberOf,
  numbersOf,
  sizesOf,
  textOf,
} from "./hub-network.ts";
import { resnetLevels } from "./resnet.ts";
import { elementOf } from "./transformer-parts.ts";

/** Channels of the pyramid and of the head, which no argument changes. */
const channels = 256;

/**
 * DeepLabV3 and DeepLabV3+ on a ResNet: dilated convolutions of several rates side by side, upsampled and joined with an early level.
 *
 * Source: `keras_hub/src/models/deeplab_v3/deeplab_v3_backbone.py`, `deeplab_v3_layers.py`.
 */
export const deeplabBackbone: HubBackbone = {
  className: "DeepLabV3Backbone",
  networks: "DeepLabV3, DeepLabV3+ on ResNet",
  build: (net, config) => {
    const levels = addEncoder(net, {
      config: encoderConfig(config, "ResNetBackbone"),
      shape: net.input.shape,
      build: resnetLevels,
    });
    const key = textOf(config, "spatial_pyramid_pooling_key");
    const [rows, columns] = sizesOf(config, "upsampling_size");
    const pyramid = net.composite(
      "SpatialPyramidPooling",
      "spatial_pyramid_pooling",
      levelNamed(levels, config, key),
      (add, given) => pyramidPooling(add, given, numbersOf(config, "dilation_rates")),
    );
    let x = upsampled(net, pyramid, rows, columns, "encoder_output_upsampling");
    const low = config["low_level_feature_key"] ?? null;
    if (low !== null) {
      const early = levelNamed(levels, config, String(low));
      const filters = numberOf(config, "projection_filters", 48);
      x = net.layer(
        "Concatenate",
        {},
        [x, convolved(net, early, filters, "decoder")],
        "encoder_decoder_concat",
      );
    }
    x = convolved(net, x, channels, "segmentation_head");
    const rest = Math.floor(2 ** Number(key.at(-1)) / rows);
    return upsampled(net, x, rest, rest, "backbone_output_upsampling");
  },
};

function levelNamed(levels: Readonly<Record<string, Output>>, config: JsonObject, key: string): Output {
  const level = levels[key];
  if (level) return level;
  throw new TopologyError(
    `${String(config["name"])}: feature key: expected one of ${Object.keys(levels).join(", ")}, got ${key}.`,
    "malformed",
  );
}

function upsampled(net: HubNetwork, given: Output, rows: number, columns: number, name: string): Output {
  return net.layer("UpSampling2D", { size: [rows, columns], interpolation: "bilinear" }, given, name);
}

function convolved(net: HubNetwork, given: Output, filters: number, prefix: string): Output {
  const own = { filters, kernel_size: [1, 1], padding: "same", use_bias: false };
  const x = net.layer("Conv2D", own, given, `${prefix}_conv`);
  return net.layer("ReLU", {}, net.layer("BatchNormalization", {}, x, `${prefix}_norm`), `${prefix}_relu`);
}

/** Adds convolutions of every rate, the mean of the image, and a projection of all. */
function pyramidPooling(add: HubLayer, given: Output, rates: readonly number[]): Output {
  const [, height = null, width = null, depth = 0] = given.shape;
  const attribute = (index: number): string => elementOf("aspp_parallel_channels", "Sequential", index);
  const normalized = (step: AddLayer, name: (part: string) => string): void => {
    step("BatchNormalization", {}, name("bn"));
    step("Activation", { activation: "relu" }, name("activation"));
  };
  const parts = [0, ...rates].map((rate, index) =>
    add.sequential(attribute(index), `aspp_${index + 1}`, given, (step) => {
      const window =
        rate === 0
          ? { kernel_size: [1, 1] }
          : { kernel_size: [3, 3], padding: "same", dilation_rate: [rate, rate] };
      step("Conv2D", { filters: channels, ...window, use_bias: false }, `aspp_conv_${index + 1}`);
      normalized(step, (part) => `aspp_${part}_${index + 1}`);
    }),
  );
  const pooled = add.sequential(attribute(parts.length), "aspp_pooling", given, (step) => {
    step("GlobalAveragePooling2D", { keepdims: false }, "average_pooling");
    step("Reshape", { target_shape: [1, 1, depth ?? 0] }, "reshape");
    step("Conv2D", { filters: channels, kernel_size: [1, 1], use_bias: false }, "conv_pooling");
    normalized(step, (part) => `${part}_pooling`);
  });
  if (height === null || width === null) {
    throw new TopologyError(
      "spatial_pyramid_pooling: expected images of one size, got any. Set image_shape when the model is made.",
      "malformed",
    );
  }
  const spread = add(null, "Resizing", { height, width, interpolation: "bilinear" }, pooled);
  const all = add(null, "Concatenate", { axis: -1 }, [...parts, spread]);
  return add.sequential("projection", "projection", all, (step) => {
    step("Conv2D", { filters: channels, kernel_size: [1, 1], use_bias: false }, "conv_projection");
    normalized(step, (part) => `${part}_projection`);
    step("Dropout", { rate: 0 }, "dropout");
  });
}

/**
 * The head of DeepLabV3's segmenter: one convolution.
 *
 * Source: `keras_hub/src/models/deeplab_v3/deeplab_v3_segmenter.py`.
 */
export const deeplabHead: HubHead = {
  scores: "segmentation_output",
  build: (net, config, features) => {
    const window = { kernel_size: [1, 1], padding: "same", use_bias: false };
    const own = { filters: numberOf(config, "num_classes"), ...window, activation: activationOf(config) };
    return net.layer("Conv2D", own, features, "segmentation_output");
  },
};
