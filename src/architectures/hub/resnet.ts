import type { Output } from "../network-output.ts";
import type { HubBackbone } from "./hub-class.ts";
import { type HubNetwork, numbersOf, textOf } from "./hub-network.ts";

/**
 * ResNet, ResNetV2 (`use_pre_activation`) and ResNet-vd (several input convolutions, blocks that end in `_vd`).
 *
 * Source: `keras_hub/src/models/resnet/resnet_backbone.py`.
 */
export const resnetBackbone: HubBackbone = {
  className: "ResNetBackbone",
  networks: "ResNet, ResNetV2, ResNet-vd",
  build: (net, config) => {
    const x = Object.values(resnetLevels(net, config)).at(-1) ?? net.input;
    if (config["use_pre_activation"] !== true) return x;
    return net.relu(normalize(net, x, "post_bn"), "post_relu");
  },
};

/** Adds the stem and the stacks and returns what comes out of each, `P2` and on (`pyramid_outputs`). */
export function resnetLevels(
  net: HubNetwork,
  config: HubNetwork["config"],
): Readonly<Record<string, Output>> {
  const filters = numbersOf(config, "stackwise_num_filters");
  const blocks = numbersOf(config, "stackwise_num_blocks");
  const strides = numbersOf(config, "stackwise_num_strides");
  const preActivation = config["use_pre_activation"] === true;
  const blockType = textOf(config, "block_type");
  const levels: Record<string, Output> = {};
  let x = stem(net, config, preActivation);
  for (const [stack, width] of filters.entries()) {
    for (let block = 0; block < (blocks[stack] ?? 0); block++) {
      x = addBlock(net, x, {
        filters: width,
        stride: block === 0 ? (strides[stack] ?? 1) : 1,
        convolvesShortcut: block === 0 && (blockType !== "basic_block" || stack > 0),
        isBottleneck: blockType.startsWith("bottleneck_block"),
        isVd: blockType.endsWith("_vd"),
        preActivation,
        name: `stack${stack}_block${block}`,
      });
    }
    levels[`P${stack + 2}`] = x;
  }
  return levels;
}

function stem(net: HubNetwork, config: HubNetwork["config"], preActivation: boolean): Output {
  const filters = numbersOf(config, "input_conv_filters");
  const sizes = numbersOf(config, "input_conv_kernel_sizes");
  const half = Math.floor(((sizes[0] ?? 1) - 1) / 2);
  let x = net.layer("ZeroPadding2D", { padding: pair(half) }, net.input, "conv1_pad");
  for (const [index, width] of filters.entries()) {
    if (index > 0) x = net.relu(normalize(net, x, `conv${index}_bn`), `conv${index}_relu`);
    const own = index === 0 ? { strides: pair(2), padding: "valid" } : { strides: pair(1), padding: "same" };
    x = convolve(net, x, width, sizes[index] ?? 1, own, `conv${index + 1}_conv`);
  }
  const last = filters.length;
  if (preActivation) {
    // Zeros around negative values would be the largest.
    const margins = [pair(0), pair(1), pair(1), pair(0)];
    const lowest = { constant_values: Number.NEGATIVE_INFINITY };
    x = net.operation("Pad", { pad_width: margins, mode: "constant" }, [x], lowest);
  } else {
    x = net.relu(normalize(net, x, `conv${last}_bn`), `conv${last}_relu`);
    x = net.layer("ZeroPadding2D", { padding: pair(1) }, x, "pool1_pad");
  }
  const window = { pool_size: pair(3), strides: pair(2), padding: "valid" };
  return net.layer("MaxPooling2D", window, x, "pool1_pool");
}

interface Block {
  readonly filters: number;
  readonly stride: number;
  readonly convolvesShortcut: boolean;
  readonly isBottleneck: boolean;
  readonly isVd: boolean;
  readonly preActivation: boolean;
  readonly name: string;
}

function addBlock(net: HubNetwork, given: Output, block: Block): Output {
  const { filters, stride, isBottleneck, preActivation, name } = block;
  const start = preActivation
    ? net.relu(normalize(net, given, `${name}_pre_activation_bn`), `${name}_pre_activation_relu`)
    : given;
  const side = shortcut(net, given, start, block);
  const steps: readonly (readonly [filters: number, size: number, stride: number])[] = isBottleneck
    ? [
        [filters, 1, 1],
        [filters, 3, stride],
        [4 * filters, 1, 1],
      ]
    : [
        [filters, 3, stride],
        [filters, 3, 1],
      ];
  let x = start;
  for (const [index, [width, size, step]] of steps.entries()) {
    const own = `${name}_${index + 1}`;
    if (step > 1) x = net.layer("ZeroPadding2D", { padding: pair((size - 1) / 2) }, x, `${own}_pad`);
    const padding = step > 1 || size === 1 ? "valid" : "same";
    x = convolve(net, x, width, size, { strides: pair(step), padding }, `${own}_conv`);
    const isLast = index === steps.length - 1;
    if (!isLast || !preActivation) x = normalize(net, x, `${own}_bn`);
    if (!isLast) x = net.relu(x, `${own}_relu`);
  }
  if (preActivation) return net.layer("Add", {}, [side, x], `${name}_out`);
  return net.relu(net.layer("Add", {}, [side, x], `${name}_add`), `${name}_out`);
}

/** Adds what is added to a block's result: the block's input, by a convolution where sizes change. */
function shortcut(net: HubNetwork, given: Output, start: Output, block: Block): Output {
  const { filters, stride, convolvesShortcut, isBottleneck, isVd, preActivation, name } = block;
  if (!convolvesShortcut) return given;
  const isPooled = isVd && !preActivation && stride > 1;
  const from = isPooled
    ? net.layer("AveragePooling2D", { pool_size: pair(2), strides: pair(stride), padding: "same" }, start)
    : start;
  const own = { strides: pair(isVd ? 1 : stride), padding: "valid" };
  const x = convolve(net, from, isBottleneck ? 4 * filters : filters, 1, own, `${name}_0_conv`);
  return preActivation ? x : normalize(net, x, `${name}_0_bn`);
}

function convolve(
  net: HubNetwork,
  given: Output,
  filters: number,
  size: number,
  own: { readonly strides: readonly number[]; readonly padding: string },
  name: string,
): Output {
  return net.layer("Conv2D", { filters, kernel_size: pair(size), ...own, use_bias: false }, given, name);
}

function normalize(net: HubNetwork, given: Output, name: string): Output {
  return net.layer("BatchNormalization", { axis: -1, momentum: 0.9, epsilon: 1e-5 }, given, name);
}

function pair(size: number): readonly [number, number] {
  return [size, size];
}
