/**
 * @file Gradients of convolutions, pooling and resizing. They call kernels of TensorFlow, or our own on WebAssembly.
 */
import { tf } from "../tf.ts";
import type { GradientRule } from "./rule.ts";
import { rule } from "./rule.ts";

interface Window {
  readonly filterSize?: unknown;
  readonly strides: unknown;
  readonly pad: unknown;
  readonly dataFormat?: string;
  readonly dilations?: number | readonly number[];
  readonly dimRoundingMode?: unknown;
}

export const spatialGradients: readonly GradientRule[] = [
  rule<Window>("Conv2D", {
    x: {
      reads: ["filter"],
      of: ({ dy, the, attributes }) =>
        run(
          "Conv2DBackpropInput",
          { dy, filter: the("filter") },
          { ...undilated("Conv2D", attributes), inputShape: the("x").shape },
        ),
    },
    filter: {
      reads: ["x"],
      of: ({ dy, the, attributes }) =>
        run(
          "Conv2DBackpropFilter",
          { x: the("x"), dy },
          { ...undilated("Conv2D", attributes), filterShape: the("filter").shape },
        ),
    },
  }),
  rule<Window>("Conv2DBackpropInput", {
    dy: {
      reads: ["filter"],
      of: ({ dy, the, attributes }) =>
        run("Conv2D", { x: dy, filter: the("filter") }, { ...attributes, dilations: [1, 1] }),
    },
    filter: {
      reads: ["dy"],
      of: ({ dy, the, attributes }) =>
        run(
          "Conv2DBackpropFilter",
          { x: dy, dy: the("dy") },
          { ...attributes, filterShape: the("filter").shape },
        ),
    },
  }),
  rule<Window>("Conv3D", {
    x: {
      reads: ["filter"],
      of: ({ dy, the, attributes }) =>
        run(
          "Conv3DBackpropInputV2",
          { dy, filter: the("filter") },
          { ...undilated("Conv3D", attributes), inputShape: the("x").shape },
        ),
    },
    filter: {
      reads: ["x"],
      of: ({ dy, the, attributes }) =>
        run(
          "Conv3DBackpropFilterV2",
          { x: the("x"), dy },
          { ...undilated("Conv3D", attributes), filterShape: the("filter").shape },
        ),
    },
  }),
  rule<Window>("Conv3DBackpropInputV2", {
    dy: {
      reads: ["filter"],
      of: ({ dy, the, attributes }) =>
        run(
          "Conv3D",
          { x: dy, filter: the("filter") },
          { ...attributes, dataFormat: "NDHWC", dilations: [1, 1, 1] },
        ),
    },
    filter: {
      reads: ["dy"],
      of: ({ dy, the, attributes }) =>
        run(
          "Conv3DBackpropFilterV2",
          { x: dy, dy: the("dy") },
          { ...attributes, filterShape: the("filter").shape },
        ),
    },
  }),
  rule<Window>("DepthwiseConv2dNative", {
    x: {
      reads: ["filter"],
      of: ({ dy, the, attributes }) =>
        run(
          "DepthwiseConv2dNativeBackpropInput",
          { dy, filter: the("filter") },
          { ...attributes, inputShape: the("x").shape },
        ),
    },
    filter: {
      reads: ["x"],
      of: ({ dy, the, attributes }) =>
        run(
          "DepthwiseConv2dNativeBackpropFilter",
          { x: the("x"), dy },
          { ...attributes, filterShape: the("filter").shape },
        ),
    },
  }),
  pooling("MaxPool", true),
  pooling("MaxPool3D", true),
  pooling("AvgPool", false),
  pooling("AvgPool3D", false),
  resizing("ResizeBilinear"),
  resizing("ResizeNearestNeighbor"),
  rule<object>("LRN", {
    x: {
      reads: ["x", "y"],
      of: ({ dy, the, attributes }) => run("LRNGrad", { x: the("x"), y: the("y"), dy }, attributes),
    },
  }),
];

function pooling(kernel: string, readsValues: boolean): GradientRule {
  return rule<Window>(kernel, {
    x: {
      reads: readsValues ? ["x", "y"] : [],
      of: ({ dy, the, attributes }) =>
        run(
          `${kernel}Grad`,
          { dy, input: the("x"), ...(readsValues ? { output: the("y") } : {}) },
          attributes,
        ),
    },
  });
}

function resizing(kernel: string): GradientRule {
  return rule<object>(kernel, {
    images: {
      reads: [],
      of: ({ dy, the, attributes }) => run(`${kernel}Grad`, { images: the("images"), dy }, attributes),
    },
  });
}

function run(kernel: string, inputs: tf.NamedTensorMap, attributes: object): tf.Tensor {
  return tf.engine().runKernel(kernel, inputs, attributes as tf.NamedAttrMap);
}

/**
 * Requires that there is no dilation, which the gradient kernels do not support: dilated layers inflate their filter
 * instead.
 */
function undilated(kernel: string, attributes: Window): Window {
  if (![attributes.dilations ?? 1].flat().every((rate) => rate === 1)) {
    throw new Error(`${kernel}: no gradient of a dilated convolution: spread its filter`);
  }
  return attributes;
}
