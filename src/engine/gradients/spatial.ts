/**
 * @file Gradients of convolutions, pooling and resizing. They call kernels of TensorFlow, or our own on WebAssembly.
 */
import { tf } from "../tf.ts";
import type { GradientRule, InputRule } from "./rule.ts";
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
  rule<Window>(
    "Conv2D",
    convolutionInputs<Window>(
      { input: "Conv2DBackpropInput", filter: "Conv2DBackpropFilter" },
      (attributes) => undilated("Conv2D", attributes),
    ),
  ),
  rule<Window>(
    "Conv2DBackpropInput",
    transposedInputs({ output: "Conv2D", filter: "Conv2DBackpropFilter" }, { dilations: [1, 1] }),
  ),
  rule<Window>(
    "Conv3D",
    convolutionInputs<Window>(
      { input: "Conv3DBackpropInputV2", filter: "Conv3DBackpropFilterV2" },
      (attributes) => undilated("Conv3D", attributes),
    ),
  ),
  rule<Window>(
    "Conv3DBackpropInputV2",
    transposedInputs(
      { output: "Conv3D", filter: "Conv3DBackpropFilterV2" },
      { dataFormat: "NDHWC", dilations: [1, 1, 1] },
    ),
  ),
  rule<Window>(
    "DepthwiseConv2dNative",
    convolutionInputs(
      { input: "DepthwiseConv2dNativeBackpropInput", filter: "DepthwiseConv2dNativeBackpropFilter" },
      (attributes) => attributes,
    ),
  ),
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

/** Returns the gradients of a convolution with respect to its input and its filter, by the kernels of those names. */
export function convolutionInputs<A extends object>(
  kernels: { readonly input: string; readonly filter: string },
  attributesOf: (attributes: A) => object,
): { readonly x: InputRule<A>; readonly filter: InputRule<A> } {
  return {
    x: {
      reads: ["filter"],
      of: ({ dy, the, attributes }) =>
        run(
          kernels.input,
          { dy, filter: the("filter") },
          { ...attributesOf(attributes), inputShape: the("x").shape },
        ),
    },
    filter: {
      reads: ["x"],
      of: ({ dy, the, attributes }) =>
        run(
          kernels.filter,
          { x: the("x"), dy },
          { ...attributesOf(attributes), filterShape: the("filter").shape },
        ),
    },
  };
}

/** Returns the gradients of a transposed convolution, whose input is the gradient `dy` of the plain one. */
function transposedInputs(
  kernels: { readonly output: string; readonly filter: string },
  more: object,
): { readonly dy: InputRule<Window>; readonly filter: InputRule<Window> } {
  return {
    dy: {
      reads: ["filter"],
      of: ({ dy, the, attributes }) =>
        run(kernels.output, { x: dy, filter: the("filter") }, { ...attributes, ...more }),
    },
    filter: {
      reads: ["dy"],
      of: ({ dy, the, attributes }) =>
        run(kernels.filter, { x: dy, dy: the("dy") }, { ...attributes, filterShape: the("filter").shape }),
    },
  };
}

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
