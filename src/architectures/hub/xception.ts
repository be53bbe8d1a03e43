import type { Output } from "../network-output.ts";
import type { HubBackbone } from "./hub-class.ts";
import { type HubNetwork, listOf, numbersIn } from "./hub-network.ts";

/**
 * Xception.
 *
 * Source: `keras_hub/src/models/xception/xception_backbone.py`.
 */
export const xceptionBackbone: HubBackbone = {
  className: "XceptionBackbone",
  networks: "Xception",
  build: (net, config) => {
    const pooled = listOf(config, "stackwise_pooling");
    const blocks = listOf(config, "stackwise_conv_filters").map((filters) =>
      numbersIn(config, "stackwise_conv_filters", filters),
    );
    let x = net.input;
    for (const [index, filters] of blocks.entries()) {
      const [isFirst, isLast] = [index === 0, index === blocks.length - 1];
      const name = `block${index + 1}`;
      const given = x;
      for (const [step, width] of filters.entries()) {
        const own = `${name}_${isFirst ? "conv" : "sepconv"}${step + 1}`;
        if (isFirst) {
          const strides = step === 0 ? [2, 2] : [1, 1];
          x = net.layer("Conv2D", { filters: width, kernel_size: [3, 3], strides, use_bias: false }, x, own);
        } else {
          if (!isLast && (index !== 1 || step !== 0)) x = net.relu(x, `${own}_act`);
          const separable = { kernel_size: [3, 3], padding: "same", use_bias: false };
          x = net.layer("SeparableConv2D", { filters: width, ...separable }, x, own);
        }
        x = normalize(net, x, `${own}_bn`);
        if (isFirst || isLast) x = net.relu(x, `${own}_act`);
      }
      const window = { pool_size: [3, 3], strides: [2, 2], padding: "same" };
      if (pooled[index] === true) x = net.layer("MaxPooling2D", window, x, `${name}_pool`);
      if (!isFirst && !isLast) x = withResidual(net, x, given, `${name}_residual`);
    }
    return x;
  },
};

function withResidual(net: HubNetwork, x: Output, given: Output, name: string): Output {
  const filters = x.shape[3] ?? 0;
  const own = { filters, kernel_size: [1, 1], strides: [2, 2], padding: "same", use_bias: false };
  const side =
    given.shape[3] === filters
      ? given
      : normalize(net, net.layer("Conv2D", own, given, `${name}_conv`), `${name}_bn`);
  return net.layer("Add", {}, [x, side], `${name}_add`);
}

function normalize(net: HubNetwork, given: Output, name: string): Output {
  return net.layer("BatchNormalization", { axis: -1 }, given, name);
}
