import { normalizedConvolution } from "../engine/operations.ts";
import type { tf } from "../engine/tf.ts";
import { isTrueAt, numberAt, numbersAt } from "../topology/config-values.ts";
import type { GraphLayer } from "../topology/layer-graph.ts";

type LayerWeights = Readonly<Record<string, tf.Tensor>>;

/** A convolution of `x` and the BatchNormalization after it as one operation, for layers that `normalizedConvolutions` pairs. */
export function convolveNormalized(
  x: tf.Tensor,
  convolution: { readonly layer: GraphLayer; readonly weights: LayerWeights },
  normalization: { readonly layer: GraphLayer; readonly weights: LayerWeights },
): tf.Tensor {
  const { className, config } = convolution.layer;
  const { gamma, beta, moving_mean: mean, moving_variance: variance } = normalization.weights;
  const epsilon = numberAt(normalization.layer.config, "epsilon");
  const bias = isTrueAt(config, "use_bias") ? convolution.weights["bias"] : undefined;
  return normalizedConvolution(
    x,
    convolution.weights["kernel"]!,
    bias,
    { mean: mean!, variance: variance!, gamma, beta, epsilon },
    {
      strides: numbersAt(config, "strides", 2),
      padding: config["padding"] === "same" ? "same" : "valid",
      depthwise: className === "DepthwiseConv2D",
    },
  );
}
