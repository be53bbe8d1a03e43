/**
 * @file A convolution and the BatchNormalization after it by stored statistics, in one pass: the normalization is
 * folded into filter and bias, so that the tensor between the two is neither computed nor kept. The result is exact.
 * With `scale = gamma / sqrt(variance + epsilon)`, the filter is `W * scale`. From its gradient `D` and `S = sum(dy)`
 * follow the gradients of `W`, `D * scale`, of `beta`, `S`, and of `gamma`, `(sum(D * W) + (bias - mean) * S) /
 * sqrt(variance + epsilon)`.
 */

import type { Tuple } from "../../tensor.ts";
import { sizeAt } from "../../tensor.ts";
import type { GradientCall } from "../gradients/rule.ts";
import { computedOnce, rule } from "../gradients/rule.ts";
import { tf } from "../tf.ts";
import { inverseDeviation } from "./batch-normalization.ts";
import { undilated } from "./convolution.ts";
import type { OwnKernel, Tensors } from "./own-kernel.ts";
import { run } from "./own-kernel.ts";

interface Attributes {
  readonly strides: [number, number];
  readonly pad: "same" | "valid";
  readonly epsilon: number;
}

type Inputs = Tensors<"x" | "filter" | "bias" | "gamma" | "beta" | "mean" | "variance">;

interface Convolution {
  readonly name: string;
  readonly inputGradient: string;
  readonly filterGradient: string;
  readonly withBias: (x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor, window: object) => tf.Tensor;
  /** The number of trailing axes of a filter that make its output channels. */
  readonly channelAxes: 1 | 2;
}

export const normalizedConvolutionKernels: readonly OwnKernel[] = [
  normalized({
    name: "Conv2DNormalized",
    inputGradient: "Conv2DBackpropInput",
    filterGradient: "Conv2DBackpropFilter",
    withBias: (x, filter, bias, window) => run("Conv2DBias", { x, filter, bias }, window),
    channelAxes: 1,
  }),
  normalized({
    name: "DepthwiseConv2DNormalized",
    inputGradient: "DepthwiseConv2dNativeBackpropInput",
    filterGradient: "DepthwiseConv2dNativeBackpropFilter",
    withBias: (x, filter, bias, window) =>
      run("BiasAdd", { x: run<tf.Tensor>("DepthwiseConv2dNative", { x, filter }, window), bias }),
    channelAxes: 2,
  }),
];

function normalized(convolution: Convolution): OwnKernel {
  const compute = (inputs: Inputs, attributes: Attributes): tf.Tensor => {
    const { x, filter, bias, gamma, beta, mean, variance } = inputs;
    const scale = tf.mul(gamma, inverseDeviation(variance, attributes.epsilon));
    const shift = tf.add(beta, tf.mul(tf.sub(bias, mean), scale));
    return convolution.withBias(x, scaled(filter, scale, convolution), shift, undilated(attributes));
  };
  const inverseOf = (call: GradientCall<Attributes>): tf.Tensor =>
    computedOnce<Tuple<tf.Tensor, 1>>(call, "inverse", () => [
      inverseDeviation(call.the("variance"), call.attributes.epsilon),
    ])[0];
  const scaleOf = (call: GradientCall<Attributes>): tf.Tensor =>
    computedOnce<Tuple<tf.Tensor, 1>>(call, "scale", () => [tf.mul(call.the("gamma"), inverseOf(call))])[0];
  const sums = (call: GradientCall<Attributes>): tf.Tensor =>
    computedOnce<Tuple<tf.Tensor, 1>>(call, "sums", () => [run("BiasAddGrad", { dy: call.dy })])[0];
  const foldedFilter = (call: GradientCall<Attributes>): tf.Tensor =>
    computedOnce<Tuple<tf.Tensor, 1>>(call, "filter", () => [
      run(
        convolution.filterGradient,
        { x: call.the("x"), dy: call.dy },
        { ...undilated(call.attributes), filterShape: call.the("filter").shape },
      ),
    ])[0];
  return {
    name: convolution.name,
    native: (_backend, inputs: Inputs, attributes: Attributes) => compute(inputs, attributes),
    portable: compute,
    gradient: rule<Attributes>(convolution.name, {
      x: {
        reads: ["filter", "gamma", "variance"],
        of: (call) =>
          run(
            convolution.inputGradient,
            { dy: call.dy, filter: scaled(call.the("filter"), scaleOf(call), convolution) },
            { ...undilated(call.attributes), inputShape: call.the("x").shape },
          ),
      },
      filter: {
        reads: ["x", "gamma", "variance"],
        of: (call) => scaled(foldedFilter(call), scaleOf(call), convolution),
      },
      gamma: {
        reads: ["x", "filter", "bias", "mean", "variance"],
        of: (call) => {
          const products = tf.mul(foldedFilter(call), call.the("filter"));
          const convolved = tf.sum(tf.reshape(products, [-1, sizeAt(call.dy.shape, -1)]), 0);
          return tf.mul(
            tf.add(convolved, tf.mul(tf.sub(call.the("bias"), call.the("mean")), sums(call))),
            inverseOf(call),
          );
        },
      },
      bias: { reads: ["gamma", "variance"], of: (call) => tf.mul(sums(call), scaleOf(call)) },
      beta: { reads: [], of: (call) => tf.clone(sums(call)) },
    }),
  };
}

/** Multiplies each output channel of a filter, or of a filter's gradient, by its scale. */
function scaled(filter: tf.Tensor, scale: tf.Tensor, { channelAxes }: Convolution): tf.Tensor {
  return tf.mul(filter, tf.reshape(scale, filter.shape.slice(-channelAxes)));
}
