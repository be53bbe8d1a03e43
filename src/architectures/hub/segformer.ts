import type { Output } from "../network-output.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import { addEncoder, encoderConfig, type HubNetwork, numberOf, numbersOf } from "./hub-network.ts";
import { mitLevels } from "./mit.ts";

/**
 * SegFormer: the levels of a MiT, each through a Dense and resized to the first, joined by a convolution.
 *
 * Source: `keras_hub/src/models/segformer/segformer_backbone.py`.
 */
export const segformerBackbone: HubBackbone = {
  className: "SegFormerBackbone",
  networks: "SegFormer on MiT",
  shapeIn: (config) => encoderConfig(config, "MiTBackbone"),
  build: (net, config) => {
    const encoder = encoderConfig(config, "MiTBackbone");
    const width = numberOf(config, "projection_filters");
    const levels = Object.values(
      addEncoder(net, {
        config: encoder,
        shape: net.input.shape,
        build: (inner, own) =>
          Object.fromEntries(mitLevels(inner, own).map((level, index) => [`P${index + 1}`, level])),
      }),
    );
    const projected = levels.map((level, index) => {
      const name = `linear_${numbersOf(encoder, "hidden_dims")[index] ?? index}`;
      return net.layer("Dense", { units: width }, level, name);
    });
    const joined = net.layer("Concatenate", { axis: -1 }, resized(net, projected).reverse());
    return net.sequential("sequential", joined, (add) => {
      add("Conv2D", { filters: width, kernel_size: [1, 1], use_bias: false }, "conv2d");
      add("BatchNormalization", { epsilon: 1e-5, momentum: 0.9 }, "batch_normalization");
      add("Activation", { activation: "relu" }, "activation");
    });
  },
};

/** Resizes every level to the size of the first, by one layer. */
function resized(net: HubNetwork, levels: readonly Output[]): Output[] {
  const [first, ...others] = levels;
  if (!first) return [];
  const [, height = 0, width = 0] = first.shape as readonly number[];
  const one = net.layer("Resizing", { height, width, interpolation: "bilinear" }, first);
  return [one, ...others.map((level) => net.again(one, level))];
}

/**
 * The head of SegFormer's segmenter: a convolution, whose scores are resized to the image.
 *
 * Source: `keras_hub/src/models/segformer/segformer_image_segmenter.py`.
 */
export const segformerHead: HubHead = {
  scores: "conv2d",
  hasActivation: false,
  build: (net, config, features) => {
    const kept = net.layer("Dropout", { rate: 0.1 }, features);
    const window = { kernel_size: [1, 1], strides: [1, 1] };
    const own = { filters: numberOf(config, "num_classes"), ...window, activation: "linear" };
    const [, height = 0, width = 0] = net.input.shape as readonly number[];
    return net.layer(
      "Resizing",
      { height, width, interpolation: "bilinear" },
      net.layer("Conv2D", own, kept),
    );
  },
};
