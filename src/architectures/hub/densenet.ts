import type { Output } from "../network-output.ts";
import type { HubBackbone } from "./hub-class.ts";
import { type HubNetwork, numberOf, numbersOf } from "./hub-network.ts";

/**
 * DenseNet.
 *
 * Source: `keras_hub/src/models/densenet/densenet_backbone.py`.
 */
export const densenetBackbone: HubBackbone = {
  className: "DenseNetBackbone",
  networks: "DenseNet",
  build: (net, config) => {
    const growth = numberOf(config, "growth_rate", 32);
    const compression = numberOf(config, "compression_ratio", 0.5);
    const repeats = numbersOf(config, "stackwise_num_repeats");
    const stem = { kernel_size: [7, 7], strides: [2, 2], padding: "same", use_bias: false };
    let x = net.layer("Conv2D", { filters: 64, ...stem }, net.input, "conv1_conv");
    x = activate(net, x, "conv1");
    x = net.layer("MaxPooling2D", { pool_size: [3, 3], strides: [2, 2], padding: "same" }, x, "pool1");
    for (const [stack, count] of repeats.entries()) {
      for (let block = 1; block <= count; block++) {
        x = addBlock(net, x, growth, `stack${stack + 1}_block${block}`);
      }
      if (stack === repeats.length - 1) continue;
      const name = `transition${stack + 1}`;
      const filters = Math.trunc((x.shape[3] ?? 0) * compression);
      x = convolve(net, activate(net, x, name), filters, 1, `${name}_conv`);
      x = net.layer("AveragePooling2D", { pool_size: [2, 2], strides: [2, 2] }, x, `${name}_pool`);
    }
    const own = { axis: -1, epsilon: 1.001e-5 };
    return net.relu(net.layer("BatchNormalization", own, x, "bn"), "relu");
  },
};

function addBlock(net: HubNetwork, given: Output, growth: number, name: string): Output {
  let x = convolve(net, activate(net, given, `${name}_1`), 4 * growth, 1, `${name}_1_conv`);
  x = convolve(net, activate(net, x, `${name}_2`), growth, 3, `${name}_2_conv`);
  return net.layer("Concatenate", { axis: -1 }, [given, x], `${name}_concat`);
}

function activate(net: HubNetwork, given: Output, name: string): Output {
  const x = net.layer("BatchNormalization", { axis: -1, epsilon: 1.001e-5 }, given, `${name}_bn`);
  return net.relu(x, `${name}_relu`);
}

function convolve(net: HubNetwork, given: Output, filters: number, size: number, name: string): Output {
  const own = { kernel_size: [size, size], padding: size === 1 ? "valid" : "same", use_bias: false };
  return net.layer("Conv2D", { filters, ...own }, given, name);
}
