import type { Json, JsonObject } from "../checkpoint.ts";
import type { ArchitectureFile } from "./architecture.ts";
import type { Network, Output } from "./network.ts";

/** @file The layers that the published networks are made of, in Keras's words. What is not said is Keras's default. */

/** By default Keras's: stride 1, no padding, a bias, no activation. */
export interface ConvolutionOptions {
  readonly name?: string;
  readonly stride?: number;
  readonly padding?: "same" | "valid";
  readonly bias?: boolean;
  readonly activation?: string;
  readonly initializer?: Json;
  readonly groups?: number;
}

type Size = number | readonly [number, number];

/** A Conv2D; a size is that of a square, or rows and columns. */
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

/** A DepthwiseConv2D. */
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

/** A SeparableConv2D. */
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

/** A BatchNormalization. `axis` is 3 in some of the networks and -1, the default, in others. */
export function normalize(net: Network, given: Output, config: JsonObject, name?: string): Output {
  return net.layer("BatchNormalization", config, given, name);
}

/** An Activation. */
export function activate(net: Network, given: Output, activation: string, name?: string): Output {
  return net.layer("Activation", { activation }, given, name);
}

/** A ZeroPadding2D: as many zeros at each side, or margins. */
export function pad(net: Network, given: Output, margin: number | Margins, name?: string): Output {
  const padding = typeof margin === "number" ? evenly(margin) : margin;
  const isDefault = padding.flat().every((side) => side === 1);
  return net.layer("ZeroPadding2D", isDefault ? {} : { padding }, given, name);
}

/** `[before, after]` of rows and of columns. */
export type Margins = readonly [readonly [number, number], readonly [number, number]];

function evenly(margin: number): Margins {
  return [
    [margin, margin],
    [margin, margin],
  ];
}

/** What a convolution of stride 2 without padding needs to see what one with `same` sees (`imagenet_utils.py`, `correct_pad`). */
export function stridePadding({ shape }: Output, size: number): Margins {
  const half = Math.floor(size / 2);
  const margins = (length: number | null): readonly [number, number] => [
    half - (length === null ? 1 : 1 - (length % 2)),
    half,
  ];
  return [margins(shape[1] ?? null), margins(shape[2] ?? null)];
}

/** By default without padding. */
export interface PoolOptions {
  readonly name?: string;
  readonly stride: number;
  readonly padding?: "same" | "valid";
}

/** A MaxPooling2D or AveragePooling2D of squares. */
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

/** An Add. */
export function add(net: Network, given: readonly Output[], name?: string): Output {
  return net.layer("Add", {}, given, name);
}

/** A Concatenate along the channels; `axis` as for `normalize`. */
export function concatenate(net: Network, given: readonly Output[], axis: 3 | -1, name?: string): Output {
  return net.layer("Concatenate", axis === -1 ? {} : { axis }, given, name);
}

/** A GlobalAveragePooling2D. */
export function averageAll(net: Network, given: Output, name?: string): Output {
  return net.layer("GlobalAveragePooling2D", {}, given, name);
}

/** How many channels an output has. */
export function channelsOf(output: Output): number {
  return output.shape.at(-1)!;
}

/** What the layer that gives the scores is called, and initializers that are not Keras's defaults. */
export interface Classifier {
  readonly name: string;
  readonly initializers?: JsonObject;
}

/** A Dense of as many units as the file's, with their softmax. */
export function classify(
  net: Network,
  given: Output,
  units: number,
  { name, initializers = {} }: Classifier = { name: "predictions" },
): Output {
  return net.layer("Dense", { units, activation: "softmax", ...initializers }, given, name);
}

/** The number of classes in the file, by the kernel of the layer that scores them; undefined where it has no top. */
export function classesIn(file: ArchitectureFile, layer = "predictions"): number | undefined {
  return file.kernelShape(layer)?.at(-1);
}

/** A multiple of 8 near `channels`, never less than nine tenths of it (`_make_divisible`, `_depth`). */
export function roundedChannels(channels: number): number {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8);
  return rounded < 0.9 * channels ? rounded + 8 : rounded;
}

/** Rows and columns: what the network was published for with its top, any number without. */
export function sizeFor(classes: number | undefined, published: number): number | null {
  return classes === undefined ? null : published;
}
