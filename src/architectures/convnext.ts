import type { Architecture } from "./architecture.ts";
import { activate, averageAll, classesIn, classify, convolve, sizeFor } from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** ConvNeXt networks (`keras/src/applications/convnext.py`). */
export const convnexts: readonly Architecture[] = [
  convnext("tiny", [3, 3, 9, 3], 96),
  convnext("small", [3, 3, 27, 3], 96),
  convnext("base", [3, 3, 27, 3], 128),
  convnext("large", [3, 3, 27, 3], 192),
  convnext("xlarge", [3, 3, 27, 3], 256),
];

const lastAxis = { axis: [-1], epsilon: 1e-6 };

/** @param width Channels of the first stage. Each further stage has twice as many. */
function convnext(variant: string, depths: readonly number[], width: number): Architecture {
  const name = `convnext_${variant}`;
  return {
    name: `convnext${variant}`,
    build: (file) => {
      const classes = classesIn(file, `${name}_head_dense`);
      const net = network(sizeFor(classes, 224));
      let x = net.layer("Normalization", prestem, net.input, `${name}_prestem_normalization`);
      depths.forEach((depth, stage) => {
        const channels = width * 2 ** stage;
        x = stage === 0 ? stem(net, x, channels, name) : downsample(net, x, channels, name, stage - 1);
        for (let index = 0; index < depth; index++) {
          x = block(net, x, channels, `${name}_stage_${stage}_block_${index}`);
        }
      });
      if (classes === undefined) return net.model(name, net.layer("LayerNormalization", lastAxis, x));
      x = averageAll(net, x, `${name}_head_gap`);
      x = net.layer("LayerNormalization", lastAxis, x, `${name}_head_layernorm`);
      return net.model(name, classify(net, x, classes, { name: `${name}_head_dense` }));
    },
  };
}

const prestem = {
  mean: [0.485 * 255, 0.456 * 255, 0.406 * 255],
  variance: [(0.229 * 255) ** 2, (0.224 * 255) ** 2, (0.225 * 255) ** 2],
};

function stem(net: Network, given: Output, filters: number, name: string): Output {
  return net.sequential(`${name}_stem`, given, (add) => {
    add("Conv2D", { filters, kernel_size: [4, 4], strides: [4, 4] }, `${name}_stem_conv`);
    add("LayerNormalization", lastAxis, `${name}_stem_layernorm`);
  });
}

function downsample(net: Network, given: Output, filters: number, name: string, index: number): Output {
  return net.sequential(`${name}_downsampling_block_${index}`, given, (add) => {
    add("LayerNormalization", lastAxis, `${name}_downsampling_layernorm_${index}`);
    add("Conv2D", { filters, kernel_size: [2, 2], strides: [2, 2] }, `${name}_downsampling_conv_${index}`);
  });
}

function block(net: Network, given: Output, channels: number, name: string): Output {
  let x = convolve(net, given, channels, 7, {
    padding: "same",
    groups: channels,
    name: `${name}_depthwise_conv`,
  });
  x = net.layer("LayerNormalization", lastAxis, x, `${name}_layernorm`);
  x = net.layer("Dense", { units: 4 * channels }, x, `${name}_pointwise_conv_1`);
  x = activate(net, x, "gelu", `${name}_gelu`);
  x = net.layer("Dense", { units: channels }, x, `${name}_pointwise_conv_2`);
  x = net.layer("LayerScale", { init_values: 1e-6, projection_dim: channels }, x, `${name}_layer_scale`);
  return net.operation("Add", {}, [given, activate(net, x, "linear", `${name}_identity`)]);
}
