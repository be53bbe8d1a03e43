import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { channelsOf } from "../layers.ts";
import type { Output } from "../network-output.ts";
import type { HubBackbone } from "./hub-class.ts";
import { activationOf, type HubNetwork, numberOf, numbersIn, numbersOf, textOf } from "./hub-network.ts";

/**
 * CSPNet: stages that split the channels, send one part through blocks and join the parts again.
 *
 * Source: `keras_hub/src/models/cspnet/cspnet_backbone.py`.
 */
export const cspnetBackbone: HubBackbone = {
  className: "CSPNetBackbone",
  networks: "CSPNet, CSPDarkNet, DarkNet",
  build: (net, config) => {
    const [stem, reduction] = addStem(net, config);
    const depths = numbersOf(config, "stackwise_depth");
    const strides = paddedList(config, "stackwise_strides", depths.length);
    let x = stem;
    let reduced = reduction;
    for (const [index, depth] of depths.entries()) {
      const stride = strides[index] ?? 1;
      if (reduced >= numberOf(config, "output_strides", 32) && stride > 1) {
        throw new TopologyError(
          `${String(config["name"])}: output_strides: expected at least ${reduced * stride}, got ${String(config["output_strides"])}. KerasHub builds no CSPNet with dilated stages.`,
          "unsupported",
        );
      }
      reduced *= stride;
      x = addStage(net, x, { config, index, depth, stride });
    }
    return x;
  },
};

/** Returns an argument that is a number or a list, whose last item stands for those that lack. */
function paddedList(config: JsonObject, name: string, count: number): readonly number[] {
  const value = config[name] ?? 1;
  const list = typeof value === "number" ? [value] : numbersIn(config, name, value);
  return Array.from({ length: count }, (_, index) => list[index] ?? list.at(-1) ?? 1);
}

/** Adds the stem and returns its output and how much smaller it is. */
function addStem(net: HubNetwork, config: JsonObject): readonly [Output, number] {
  const given = config["stem_filters"] ?? null;
  const filters = typeof given === "number" ? [given] : numbersIn(config, "stem_filters", given);
  const size = numberOf(config, "stem_kernel_size");
  const stride = numberOf(config, "stem_strides");
  const pooling = config["stem_pooling"] ?? null;
  let x = net.input;
  let reduced = 1;
  for (const [index, width] of filters.entries()) {
    const isLast = index === filters.length - 1;
    const halves = (index === 0 && stride > 1) || (isLast && stride > 2 && pooling === null);
    if (halves) {
      const margin = Math.floor((size - 1) / 2);
      x = net.layer("ZeroPadding2D", { padding: [margin, margin] }, x, `csp_stem_pad_${index}`);
    }
    const padding = index === 0 ? textOf({ stem_padding: "valid", ...config }, "stem_padding") : "valid";
    const own = { filters: width, size, stride: halves ? 2 : 1, padding };
    x = convolve(net, x, own, `csp_stem_conv_${index}`);
    x = activate(net, normalize(net, x, `csp_stem_bn_${index}`), config, `csp_stem_activation_${index}`);
    if (halves) reduced *= 2;
  }
  if (pooling !== "max") return [x, reduced];
  const margins = [
    [0, 0],
    [1, 1],
    [1, 1],
    [0, 0],
  ];
  const lowest = { constant_values: Number.NEGATIVE_INFINITY };
  x = net.operation("Pad", { pad_width: margins, mode: "constant" }, [x], lowest);
  return [net.layer("MaxPooling2D", { pool_size: [3, 3], strides: [2, 2] }, x, "csp_stem_pool"), 2 * reduced];
}

interface Stage {
  readonly config: JsonObject;
  readonly index: number;
  readonly depth: number;
  readonly stride: number;
}

function addStage(net: HubNetwork, given: Output, stage: Stage): Output {
  const { config, index, depth, stride } = stage;
  const name = `stage_${index}`;
  const filters = numbersOf(config, "stackwise_num_filters")[index] ?? 0;
  const count = numbersOf(config, "stackwise_depth").length;
  const ratio = (key: string): number => paddedList(config, key, count)[index] ?? 1;
  const width = rounded(filters * ratio("block_ratio"));
  const addBlocks = (from: Output): Output => {
    let x = from;
    for (let block = 0; block < depth; block++) {
      x = addBlock(net, x, config, width, rounded(width * ratio("bottle_ratio")), `${name}_block_${block}`);
    }
    return x;
  };
  const kind = config["stage_type"];
  if (kind === "dark") {
    return addBlocks(downsampled(net, given, stage, { filters, prefix: `${name}_dark`, conv: "_dark" }));
  }
  const isCsp = kind === "csp";
  const own = `${name}_${isCsp ? "csp" : "cs3"}`;
  const grown = config["down_growth"] === true ? filters : channelsOf(given);
  let x = given;
  if (stride !== 1) {
    const conv = isCsp ? `${name}_csp` : `${name}_cross_stage3`;
    x = downsampled(net, given, stage, { filters, grown, prefix: own, conv });
  }
  const expanded = rounded(filters * ratio("expand_ratio"));
  const half = Math.floor(expanded / 2);
  x = normalize(net, pointwise(net, x, expanded, `${own}_conv_exp`), `${own}_bn_2`);
  if (config["cross_linear"] !== true) x = activate(net, x, config, `${own}_activation_2`);
  const sections = Math.floor(channelsOf(x) / half);
  const [first, second] = net.operations("Split", { indices_or_sections: sections, axis: -1 }, [x]);
  if (!first || !second) throw new Error(`${name}: expected two parts of ${expanded} channels`);
  if (!isCsp) {
    x = net.layer("Concatenate", {}, [addBlocks(first), second], `${own}_conv_transition_concat`);
    x = normalize(net, pointwise(net, x, half, `${own}_conv_transition`), `${own}_transition_bn`);
    return activate(net, x, config, `${own}_activation_3`);
  }
  let part = pointwise(net, addBlocks(second), half, `${own}_conv_transition_b`);
  part = normalize(net, part, `${own}_transition_b_bn`);
  part = activate(net, part, config, `${own}_transition_b_activation`);
  x = net.layer("Concatenate", {}, [first, part], `${own}_conv_concat`);
  x = normalize(net, pointwise(net, x, filters, `${own}_conv_transition`), `${own}_transition_bn`);
  return activate(net, x, config, `${own}_transition_activation`);
}

/** Adds what halves the resolution at the beginning of a stage. */
function downsampled(
  net: HubNetwork,
  given: Output,
  { config, stride }: Stage,
  names: {
    readonly filters: number;
    /** Filters of a convolution with a stride, where they differ. */
    readonly grown?: number;
    readonly prefix: string;
    /** Beginning of the name of the pooling. */
    readonly conv: string;
  },
): Output {
  const { filters, grown = filters, prefix, conv } = names;
  const groups = numberOf(config, "groups", 1);
  let x = given;
  if (config["avg_down"] === true) {
    const pool = conv === "_dark" ? prefix : conv;
    if (stride === 2) x = net.layer("AveragePooling2D", { pool_size: [2, 2] }, x, `${pool}_avg_pool`);
    x = convolve(net, x, { filters, size: 1, groups }, `${prefix}_conv_down_1`);
  } else {
    if (stride > 1) x = net.layer("ZeroPadding2D", { padding: [1, 1] }, x, `${prefix}_conv_pad_1`);
    x = convolve(net, x, { filters: grown, size: 3, stride, groups }, `${prefix}_conv_down_1`);
  }
  return activate(net, normalize(net, x, `${prefix}_bn_1`), config, `${prefix}_activation_1`);
}

/** Adds a block of the argument `block_type`: `bottleneck_block`, `dark_block` or `edge_block`. */
function addBlock(
  net: HubNetwork,
  given: Output,
  config: JsonObject,
  filters: number,
  hidden: number,
  prefix: string,
): Output {
  const type = textOf(config, "block_type");
  const groups = numberOf(config, "groups", 1);
  const wide = { size: 3, groups, padding: "same" };
  const steps = {
    bottleneck_block: [
      { filters: hidden, size: 1 },
      { filters: hidden, ...wide },
      { filters, size: 1 },
    ],
    dark_block: [
      { filters: hidden, size: 1 },
      { filters, ...wide },
    ],
    edge_block: [
      { filters: hidden, ...wide },
      { filters, size: 1 },
    ],
  }[type];
  if (!steps) {
    throw new TopologyError(
      `${String(config["name"])}: block_type: expected dark_block, edge_block or bottleneck_block, got ${type}.`,
      "malformed",
    );
  }
  const isBottleneck = type === "bottleneck_block";
  let x = given;
  for (const [index, step] of steps.entries()) {
    const number = index + 1;
    x = normalize(
      net,
      convolve(net, x, step, `${prefix}_${type}_conv_${number}`),
      `${prefix}_${type}_bn_${number}`,
    );
    const isSummed = isBottleneck && number === steps.length;
    if (!isSummed) x = activate(net, x, config, `${prefix}_${type}_activation_${number}`);
  }
  x = net.layer("Add", {}, [x, given], `${prefix}_${type}_add`);
  return isBottleneck ? activate(net, x, config, `${prefix}_${type}_activation_4`) : x;
}

interface Convolution {
  readonly filters: number;
  readonly size: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly padding?: string;
}

function convolve(net: HubNetwork, given: Output, own: Convolution, name: string): Output {
  const { filters, size, stride = 1, groups = 1, padding = "valid" } = own;
  const window = { kernel_size: [size, size], strides: [stride, stride], padding, groups };
  return net.layer("Conv2D", { filters, ...window, use_bias: false }, given, name);
}

function pointwise(net: HubNetwork, given: Output, filters: number, name: string): Output {
  return convolve(net, given, { filters, size: 1 }, name);
}

function normalize(net: HubNetwork, given: Output, name: string): Output {
  return net.layer("BatchNormalization", { axis: -1, epsilon: 1e-5 }, given, name);
}

function activate(net: HubNetwork, given: Output, config: JsonObject, name: string): Output {
  const activation = activationOf({ activation: "leaky_relu", ...config });
  if (activation === "leaky_relu") return net.layer("LeakyReLU", { negative_slope: 0.01 }, given, name);
  return net.layer("Activation", { activation }, given, name);
}

/** Rounds to the nearest whole number, halves to the even one, as Python does. */
function rounded(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
