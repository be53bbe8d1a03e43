import type { Output } from "../network-output.ts";
import type { HubBackbone, HubHead } from "./hub-class.ts";
import { activationOf, numberOf, numbersOf } from "./hub-network.ts";

/**
 * VGG: convolutions in blocks that end in a pooling.
 *
 * Source: `keras_hub/src/models/vgg/vgg_backbone.py`.
 */
export const vggBackbone: HubBackbone = {
  className: "VGGBackbone",
  networks: "VGG",
  build: (net, config) => {
    const filters = numbersOf(config, "stackwise_num_filters");
    let x = net.input;
    for (const [block, repeats] of numbersOf(config, "stackwise_num_repeats").entries()) {
      const name = `block${block + 1}`;
      for (let convolution = 1; convolution <= repeats; convolution++) {
        const own = { kernel_size: [3, 3], activation: "relu", padding: "same" };
        x = net.layer("Conv2D", { filters: filters[block] ?? 0, ...own }, x, `${name}_conv${convolution}`);
      }
      x = net.layer("MaxPooling2D", { pool_size: [2, 2], strides: [2, 2] }, x, `${name}_pool`);
    }
    return x;
  },
};

/**
 * The head of VGG's classifier, a Sequential: fully connected layers, as convolutions where the image's size is free.
 *
 * Source: `keras_hub/src/models/vgg/vgg_image_classifier.py`.
 */
export const vggHead: HubHead = {
  scores: "head/predictions",
  build: (net, config, features): Output => {
    const width = numberOf(config, "pooling_hidden_dim", 4096);
    const pooling = config["pooling"];
    return net.sequential("head", features, (add) => {
      const dropped = () => add("Dropout", { rate: numberOf(config, "dropout", 0) }, "output_dropout");
      if (pooling === "flatten") {
        add("Flatten", {}, "flatten");
        add("Dense", { units: width, activation: "relu" }, "fc1");
        dropped();
        add("Dense", { units: width, activation: "relu" }, "fc2");
      } else {
        add("Conv2D", { filters: width, kernel_size: [7, 7], activation: "relu" }, "fc1");
        dropped();
        add("Conv2D", { filters: width, kernel_size: [1, 1], activation: "relu", padding: "same" }, "fc2");
        const pool = pooling === "max" ? "GlobalMaxPooling2D" : "GlobalAveragePooling2D";
        add(pool, { keepdims: false }, "pooler");
      }
      const scores = { units: numberOf(config, "num_classes"), activation: activationOf(config) };
      add("Dense", scores, "predictions");
    });
  },
};
