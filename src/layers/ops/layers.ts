/**
 * @file Functions of keras.ops that compute what layers do, with the weights as operands (`keras/src/ops/nn.py`,
 * `image.py`).
 */
import type { JsonObject } from "../../checkpoint.ts";
import { chosen, max, mean } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt, numberAt, numbersAt } from "../../topology/config-values.ts";
import { margins } from "../../topology/specs/ops-layers.ts";
import { softmax } from "../activation-functions.ts";
import { causalMask } from "../attention.ts";
import { axisOf, channelsLast, everyNth, padAxis, repeatAxis } from "../axes.ts";
import type { Window } from "../convolution.ts";
import { convolve, depthwiseOf, grouped, windowIn } from "../convolution.ts";
import { transposedConvolution } from "../convolution-transpose.ts";
import type { Kernel, KernelCall } from "../kernel.ts";
import { firstInput } from "../kernel.ts";
import { normalizationKernels } from "../normalization.ts";
import { adaptivePooling } from "../pooling.ts";
import { einsum } from "./matrix-products.ts";
import { asBool } from "./number-functions.ts";
import { operandOf, requiredOperand } from "./operands.ts";

/** Creates a kernel that computes on the images of its first operand, channels last. */
function onImages(compute: (image: tf.Tensor, call: KernelCall, rank: number) => tf.Tensor): Kernel {
  return (call) =>
    channelsLast(firstInput(call.inputs), call.config, (image) => compute(image, call, image.rank - 2));
}

const convolutions: Readonly<Record<string, Kernel>> = {
  Conv: onImages((image, call, rank) => grouped(image, kernelOf(call), windowIn(call.config, rank))),
  DepthwiseConv: onImages((image, call, rank) =>
    depthwiseOf(image, kernelOf(call), windowIn(call.config, rank)),
  ),
  SeparableConv: onImages((image, call, rank) => {
    const deep = depthwiseOf(image, kernelOf(call), windowIn(call.config, rank));
    return convolve(deep, requiredOperand(call, 2, "pointwise_kernel"), everyPosition(rank));
  }),
  ConvTranspose: onImages((image, call, rank) =>
    transposedConvolution(image, kernelOf(call), call.config, rank as 1 | 2 | 3),
  ),
};

const normalizations: Readonly<Record<string, Kernel>> = {
  BatchNorm: batchNorm,
  LayerNorm: (call) =>
    normalizationKernels["LayerNormalization"]!(
      asLayer(call, { gamma: operandOf(call, 1, "gamma"), beta: operandOf(call, 2, "beta") }),
    ),
  RMSNorm: (call) =>
    normalizationKernels["RMSNormalization"]!(asLayer(call, { scale: operandOf(call, 1, "scale") })),
};

const images: Readonly<Record<string, Kernel>> = {
  DepthToSpace: onImages((image, { config }) => depthToSpace(image, numberAt(config, "block_size"))),
  SpaceToDepth: onImages((image, { config }) => spaceToDepth(image, numberAt(config, "block_size"))),
  RGBToGrayscale: onImages((image) =>
    tf.sum(tf.mul(image, tf.tensor1d([0.2989, 0.587, 0.114])), image.rank - 1, true),
  ),
  ExtractPatches: onImages(patches),
  PadImages: onImages((image, { config }) => withMargins(image, config, "padding")),
  CropImages: onImages((image, { config }) => withMargins(image, config, "cropping")),
};

export const layerOpKernels: Readonly<Record<string, Kernel>> = Object.fromEntries(
  Object.entries({
    ...convolutions,
    ...normalizations,
    ...images,
    AdaptiveAveragePool: adaptivePooling(undefined, mean),
    AdaptiveMaxPool: adaptivePooling(undefined, max),
    MultiHot: multiHot,
    DotProductAttention: dotProductAttention,
  }).map(([name, kernel]) => [`ops.${name}`, kernel]),
);

function kernelOf(call: KernelCall): tf.Tensor {
  return requiredOperand(call, 1, "kernel");
}

function everyPosition(rank: number): Window {
  const ones = Array.from({ length: rank }, () => 1);
  return { strides: ones, dilation: ones, padding: "valid" };
}

/** Returns the call as a layer's call, with its operands as weights. Without an epsilon, Keras's own is used. */
function asLayer(call: KernelCall, operands: Readonly<Record<string, tf.Tensor | undefined>>): KernelCall {
  const given = Object.entries(operands).filter((entry): entry is [string, tf.Tensor] => !!entry[1]);
  return {
    ...call,
    weights: Object.fromEntries(given),
    config: { ...call.config, epsilon: call.config["epsilon"] ?? 1e-7 },
  };
}

/** Normalizes by statistics that are operands, through which gradients flow. */
function batchNorm(call: KernelCall): tf.Tensor {
  const x = firstInput(call.inputs);
  const axis = axisOf(numberAt(call.config, "axis"), x.rank);
  const shape = x.shape.map((size, at) => (at === axis ? size : 1));
  const vector = (index: number, name: string): tf.Tensor | undefined => {
    const given = operandOf(call, index, name);
    return given && tf.reshape(given, shape);
  };
  const inverse = tf.rsqrt(tf.add(vector(2, "variance")!, numberAt(call.config, "epsilon")));
  const scale = vector(4, "scale");
  const offset = vector(3, "offset");
  const scaled = tf.mul(tf.sub(x, vector(1, "mean")!), scale ? tf.mul(inverse, scale) : inverse);
  return offset ? tf.add(scaled, offset) : scaled;
}

/**
 * Computes attention of queries `[N, T, heads, size]` over keys and values `[N, S, heads, size]`. Keys and values may
 * have fewer heads, each of which serves several queries.
 */
function dotProductAttention(call: KernelCall): tf.Tensor {
  const query = requiredOperand(call, 0, "query");
  const [key, value] = [requiredOperand(call, 1, "key"), requiredOperand(call, 2, "value")].map((heads) =>
    repeatAxis(heads, 2, sizeAt(query.shape, 2) / sizeAt(heads.shape, 2)),
  ) as [tf.Tensor, tf.Tensor];
  const scale = operandOf(call, 5, "scale") ?? 1 / Math.sqrt(sizeAt(key.shape, 3));
  const products = tf.mul(einsum("bthd,bshd->bhts", [query, key]), scale);
  const bias = operandOf(call, 3, "bias");
  const scores = bias ? tf.add(products, bias) : products;
  const shown = [
    operandOf(call, 4, "mask"),
    isTrueAt(call.config, "is_causal") ? causalMask(sizeAt(query.shape, 1), sizeAt(key.shape, 1)) : undefined,
  ].filter((mask) => mask !== undefined);
  const visible = shown.reduce(
    (value, mask) => chosen(asBool(mask), value, tf.fill(value.shape, -2e38)),
    scores,
  );
  return einsum("bhts,bshd->bthd", [softmax(visible, [3]), value]);
}

function multiHot({ inputs, config }: KernelCall): tf.Tensor {
  const tokens = tf.cast(firstInput(inputs), "int32");
  const classes = tf.range(0, numberAt(config, "num_classes"), 1, "int32");
  const found = tf.cast(tf.equal(tf.expandDims(tokens, -1), classes), "float32");
  const hot = tf.max(found, tokens.rank > 1 ? 1 : 0);
  const axis = axisOf(numberAt(config, "axis"), hot.rank);
  const order = hot.shape.map((_, index) => index).slice(0, -1);
  order.splice(axis, 0, hot.rank - 1);
  return tf.transpose(hot, order);
}

/** Rearranges `[N, H, W, b b C]` to `[N, bH, bW, C]`. */
function depthToSpace(x: tf.Tensor, block: number): tf.Tensor {
  const [batch, high, wide, depth] = x.shape as [number, number, number, number];
  const strip = (depth / block) | 0;
  const rows = tf.transpose(tf.reshape(x, [batch * high, wide, block, strip]), [0, 2, 1, 3]);
  return tf.reshape(rows, [batch, high * block, wide * block, strip / block]);
}

/** Rearranges `[N, bH, bW, C]` to `[N, H, W, b b C]`. */
function spaceToDepth(x: tf.Tensor, block: number): tf.Tensor {
  const [batch, high, wide, depth] = x.shape as [number, number, number, number];
  const strip = block * depth;
  const rows = tf.reshape(x, [(batch * high) / block, block, wide / block, strip]);
  return tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [batch, high / block, wide / block, block * strip]);
}

/** Returns the values of each window as channels, by a convolution with one filter for each value. */
function patches(image: tf.Tensor, { config }: KernelCall, rank: number): tf.Tensor {
  const size = numbersAt(config, "size", rank);
  const channels = sizeAt(image.shape, -1);
  const values = size.reduce((product, length) => product * length, channels);
  const filters = tf.reshape(tf.eye(values), [...size, channels, values]);
  return convolve(image, filters, windowIn({ ...config, strides: config["strides"] ?? size }, rank));
}

function withMargins(image: tf.Tensor, config: JsonObject, words: "padding" | "cropping"): tf.Tensor {
  return (["height", "width"] as const).reduce((value, axis, index) => {
    const size = sizeAt(value.shape, index + 1);
    const { before, after } = margins(config, words, words === "padding", size, axis);
    return words === "padding"
      ? padAxis(value, index + 1, before, after)
      : everyNth(value, index + 1, before, size - before - after, 1);
  }, image);
}
