import type { Json, JsonObject } from "../checkpoint.ts";
import type { ArchitectureFile } from "./architecture.ts";
import type { Network } from "./network.ts";
import type { Output } from "./network-output.ts";

/** @file Functions that add one layer to a network. Arguments that are not given have Keras's defaults. */

/** Options of a convolution. Defaults are Keras's: stride 1, no padding, a bias, no activation. */
export interface ConvolutionOptions {
  readonly name?: string;
  readonly stride?: number;
  readonly padding?: "same" | "valid";
  readonly bias?: boolean;
  readonly activation?: string;
  readonly initializer?: Json;
  readonly groups?: number;
}

/** Window size: of a square, or rows and columns. */
type Size = number | readonly [number, number];

/** Adds a Conv2D. */
export function convolve(
  net: Network,
  given: Output,
  filters: number,
  size: Size,
  options: ConvolutionOptions = {},
): Output {
  const { initializer, groups } = options;
  const own: JsonObject = {
    filters,
    ...windowOf(size, options),
    ...(groups !== undefined && { groups }),
    ...(initializer !== undefined && { kernel_initializer: initializer }),
  };
  return net.layer("Conv2D", own, given, options.name);
}

/** Adds a DepthwiseConv2D. */
export function convolveDepthwise(
  net: Network,
  given: Output,
  size: Size,
  options: ConvolutionOptions = {},
): Output {
  const { initializer } = options;
  const own: JsonObject = {
    ...windowOf(size, options),
    ...(initializer !== undefined && { depthwise_initializer: initializer }),
  };
  return net.layer("DepthwiseConv2D", own, given, options.name);
}

/** Adds a SeparableConv2D. */
export function convolveSeparably(
  net: Network,
  given: Output,
  filters: number,
  size: Size,
  options: ConvolutionOptions = {},
): Output {
  return net.layer("SeparableConv2D", { filters, ...windowOf(size, options) }, given, options.name);
}

function windowOf(
  size: Size,
  { stride = 1, padding = "valid", bias = true, activation }: ConvolutionOptions,
) {
  const config: JsonObject = {
    kernel_size: pair(size),
    ...(stride !== 1 && { strides: pair(stride) }),
    ...(padding !== "valid" && { padding }),
    ...(activation !== undefined && { activation }),
    ...(!bias && { use_bias: false }),
  };
  return config;
}

function pair(size: Size): readonly [number, number] {
  return typeof size === "number" ? [size, size] : size;
}

/** Adds a BatchNormalization. `axis` is 3 in some of Keras's networks and -1, the default, in others. */
export function normalize(net: Network, given: Output, config: JsonObject, name?: string): Output {
  return net.layer("BatchNormalization", config, given, name);
}

/** Adds an Activation. */
export function activate(net: Network, given: Output, activation: string, name?: string): Output {
  return net.layer("Activation", { activation }, given, name);
}

/** Adds a ZeroPadding2D with a margin for all sides, or with margins for each side. */
export function pad(net: Network, given: Output, margin: number | Margins, name?: string): Output {
  const padding = typeof margin === "number" ? evenly(margin) : margin;
  const isDefault = padding.flat().every((side) => side === 1);
  return net.layer("ZeroPadding2D", isDefault ? {} : { padding }, given, name);
}

/** Zeros `[before, after]` the rows and the columns. */
export type Margins = readonly [readonly [number, number], readonly [number, number]];

function evenly(margin: number): Margins {
  return [
    [margin, margin],
    [margin, margin],
  ];
}

/**
 * Returns the padding for which a convolution of stride 2 with `valid` equals one with `same` (`correct_pad` of
 * `keras/src/applications/imagenet_utils.py`).
 */
export function stridePadding({ shape }: Output, size: number): Margins {
  const half = Math.floor(size / 2);
  const margins = (length: number | null): readonly [number, number] => [
    half - (length === null ? 1 : 1 - (length % 2)),
    half,
  ];
  return [margins(shape[1] ?? null), margins(shape[2] ?? null)];
}

/** Options of a pooling layer. Padding defaults to `valid`. */
export interface PoolOptions {
  readonly name?: string;
  readonly stride: number;
  readonly padding?: "same" | "valid";
}

/** Adds a MaxPooling2D or AveragePooling2D with a square window. */
export function pool(
  net: Network,
  kind: "Max" | "Average",
  given: Output,
  size: number,
  { name, stride, padding = "valid" }: PoolOptions,
): Output {
  const config = { pool_size: pair(size), strides: pair(stride), ...(padding !== "valid" && { padding }) };
  return net.layer(`${kind}Pooling2D`, config, given, name);
}

/** Adds an Add. */
export function add(net: Network, given: readonly Output[], name?: string): Output {
  return net.layer("Add", {}, given, name);
}

/** Adds a Concatenate along the channels. For `axis` see {@link normalize}. */
export function concatenate(net: Network, given: readonly Output[], axis: 3 | -1, name?: string): Output {
  return net.layer("Concatenate", axis === -1 ? {} : { axis }, given, name);
}

/** Adds a GlobalAveragePooling2D. */
export function averageAll(net: Network, given: Output, name?: string): Output {
  return net.layer("GlobalAveragePooling2D", {}, given, name);
}

/** Returns the number of channels of an output. @throws {Error} if it is unknown, which is a programming error. */
export function channelsOf({ layer, shape }: Output): number {
  const channels = shape.at(-1);
  if (typeof channels !== "number") throw new Error(`${layer}: expected a known number of channels`);
  return channels;
}

/** Name of the layer that computes the class scores, and its initializers if they are not Keras's defaults. */
export interface Classifier {
  readonly name: string;
  readonly initializers?: JsonObject;
}

/** Adds a Dense with softmax. */
export function classify(
  net: Network,
  given: Output,
  units: number,
  { name, initializers = {} }: Classifier = { name: "predictions" },
): Output {
  return net.layer("Dense", { units, activation: "softmax", ...initializers }, given, name);
}

/** Returns the file's number of classes by the kernel of its last layer, undefined if it has no top. */
export function classesIn(file: ArchitectureFile, layer = "predictions"): number | undefined {
  return file.kernelShape(layer)?.at(-1);
}

/** Rounds a number of channels to a multiple of 8, but never down by more than 10 % (`_make_divisible`, `_depth`). */
export function roundedChannels(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/** Returns the input size of a network: the published one with its top, null (any size) without. */
export function sizeFor(classes: number | undefined, published: number): number | null {
  return classes === undefined ? null : published;
}
