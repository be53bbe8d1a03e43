import type { Architecture, ArchitectureFile } from "./architecture.ts";
import {
  activate,
  add,
  channelsOf,
  classesIn,
  convolve,
  convolveDepthwise,
  normalize,
  pad,
  roundedChannels,
  stridePadding,
} from "./layers.ts";
import type { Network } from "./network.ts";
import { network } from "./network.ts";
import type { Output } from "./network-output.ts";

type Activation = "relu" | "hard_silu";

/**
 * A block: expansion of its inner channels, output filters, kernel size, stride, squeeze-and-excitation, activation.
 */
type Block = readonly [
  expansion: number,
  filters: number,
  size: number,
  stride: 1 | 2,
  squeezes: boolean,
  activation: Activation,
];

const small: readonly Block[] = [
  [1, 16, 3, 2, true, "relu"],
  [72 / 16, 24, 3, 2, false, "relu"],
  [88 / 24, 24, 3, 1, false, "relu"],
  [4, 40, 5, 2, true, "hard_silu"],
  [6, 40, 5, 1, true, "hard_silu"],
  [6, 40, 5, 1, true, "hard_silu"],
  [3, 48, 5, 1, true, "hard_silu"],
  [3, 48, 5, 1, true, "hard_silu"],
  [6, 96, 5, 2, true, "hard_silu"],
  [6, 96, 5, 1, true, "hard_silu"],
  [6, 96, 5, 1, true, "hard_silu"],
];

const large: readonly Block[] = [
  [1, 16, 3, 1, false, "relu"],
  [4, 24, 3, 2, false, "relu"],
  [3, 24, 3, 1, false, "relu"],
  [3, 40, 5, 2, true, "relu"],
  [3, 40, 5, 1, true, "relu"],
  [3, 40, 5, 1, true, "relu"],
  [6, 80, 3, 2, false, "hard_silu"],
  [2.5, 80, 3, 1, false, "hard_silu"],
  [2.3, 80, 3, 1, false, "hard_silu"],
  [2.3, 80, 3, 1, false, "hard_silu"],
  [6, 112, 3, 1, true, "hard_silu"],
  [6, 112, 3, 1, true, "hard_silu"],
  [6, 160, 5, 2, true, "hard_silu"],
  [6, 160, 5, 1, true, "hard_silu"],
  [6, 160, 5, 1, true, "hard_silu"],
];

/** MobileNetV3 networks (`keras/src/applications/mobilenet_v3.py`) with the width of the file. */
export const mobilenetsV3: readonly Architecture[] = [
  mobilenetV3("MobileNetV3Small", small, 1024),
  mobilenetV3("MobileNetV3Large", large, 1280),
];

const bn = { momentum: 0.999 };

function mobilenetV3(model: string, blocks: readonly Block[], features: number): Architecture {
  return {
    name: model.toLowerCase(),
    formerNames: keras2Names,
    build: (file) => {
      const classes = classesIn(file, "logits");
      const [, lastFilters = 0] = blocks.at(-1) ?? [];
      const width = widthOf(file, lastFilters);
      const net = network(null);
      let x = net.layer("Rescaling", { scale: 1 / 127.5, offset: -1 }, net.input);
      x = convolve(net, x, 16, 3, { stride: 2, padding: "same", bias: false, name: "conv" });
      x = activate(net, normalize(net, x, bn, "conv_bn"), "hard_silu");
      blocks.forEach((each, index) => {
        x = block(net, x, each, width, index);
      });
      const last = roundedChannels(channelsOf(x) * 6);
      x = convolve(net, x, last, 1, { padding: "same", bias: false, name: "conv_1" });
      x = activate(net, normalize(net, x, bn, "conv_1_bn"), "hard_silu");
      if (classes === undefined) return net.model(model, x);
      const inTop = width > 1 ? roundedChannels(features * width) : features;
      return net.model(model, withTop(net, x, inTop, classes));
    },
  };
}

/**
 * Returns the name in Keras 2: `squeeze_excite_conv_1` was `squeeze_excite/Conv_1`, `conv_bn` was `Conv/BatchNorm`.
 */
function keras2Names(layer: string): readonly string[] {
  const renamed = layer.replace(/(^|squeeze_excite_)conv/, "$1Conv").replace(/^logits$/, "Logits");
  return [renamed.replace(/_bn$/, "_BatchNorm")];
}

/** Returns the width multiplier by the filters of the last block: a published one if it fits, else their ratio. */
function widthOf(file: ArchitectureFile, published: number): number {
  const filters = file.kernelShape("conv_1")?.[2];
  const fits = (width: number): boolean => roundedChannels(published * width) === filters;
  return filters === undefined ? 1 : ([1, 0.75].find(fits) ?? filters / published);
}

function withTop(net: Network, given: Output, features: number, classes: number): Output {
  let x = net.layer("GlobalAveragePooling2D", { keepdims: true }, given);
  x = activate(net, convolve(net, x, features, 1, { padding: "same", name: "conv_2" }), "hard_silu");
  x = net.layer("Dropout", { rate: 0.2 }, x);
  x = convolve(net, x, classes, 1, { padding: "same", name: "logits" });
  return activate(net, net.layer("Flatten", {}, x), "softmax", "predictions");
}

function block(net: Network, given: Output, of: Block, width: number, index: number): Output {
  const [expansion, published, size, stride, squeezes, activation] = of;
  const name = index === 0 ? "expanded_conv" : `expanded_conv_${index}`;
  const filters = roundedChannels(published * width);
  const inside = roundedChannels(channelsOf(given) * expansion);
  const activated = (x: Output): Output =>
    activation === "relu" ? net.layer("ReLU", {}, x) : activate(net, x, activation);
  let x = given;
  if (index > 0) {
    x = convolve(net, x, inside, 1, { padding: "same", bias: false, name: `${name}_expand` });
    x = activated(normalize(net, x, bn, `${name}_expand_bn`));
  }
  if (stride === 2) x = pad(net, x, stridePadding(x, size), `${name}_depthwise_pad`);
  const padding = stride === 1 ? "same" : "valid";
  x = convolveDepthwise(net, x, size, { stride, padding, bias: false, name: `${name}_depthwise` });
  x = activated(normalize(net, x, bn, `${name}_depthwise_bn`));
  if (squeezes) x = squeeze(net, x, `${name}_squeeze_excite`);
  x = convolve(net, x, filters, 1, { padding: "same", bias: false, name: `${name}_project` });
  x = normalize(net, x, bn, `${name}_project_bn`);
  return stride === 1 && channelsOf(given) === filters ? add(net, [given, x], `${name}_add`) : x;
}

function squeeze(net: Network, given: Output, name: string): Output {
  const channels = channelsOf(given);
  let x = net.layer("GlobalAveragePooling2D", { keepdims: true }, given, `${name}_avg_pool`);
  x = convolve(net, x, roundedChannels(channels / 4), 1, { padding: "same", name: `${name}_conv` });
  x = net.layer("ReLU", {}, x, `${name}_relu`);
  x = convolve(net, x, channels, 1, { padding: "same", name: `${name}_conv_1` });
  x = net.layer("ReLU", { max_value: 6 }, net.operation("Add", {}, [x, 3]));
  return net.layer("Multiply", {}, [given, net.operation("Multiply", {}, [x, 1 / 6])], `${name}_mul`);
}
