/** @file Transposed convolutions (`keras/src/layers/convolutional/base_conv_transpose.py`). */
import type { JsonObject } from "../checkpoint.ts";
import { conv2dTranspose } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { numbersAt, stringAt } from "../topology/config-values.ts";
import { asPlane, finished } from "./convolution.ts";
import type { Kernel } from "./kernel.ts";
import { firstInput, weightIn } from "./kernel.ts";
import { conv3dTranspose } from "./numerics/volume.ts";

export const convolutionTransposeKernels: Readonly<Record<string, Kernel>> = {
  Conv1DTranspose: transposed(1),
  Conv2DTranspose: transposed(2),
  Conv3DTranspose: transposed(3),
};

function transposed(rank: 1 | 2 | 3): Kernel {
  return (call) =>
    finished(firstInput(call.inputs), call, (x) =>
      transposedConvolution(x, weightIn(call.weights, "kernel"), call.config, rank),
    );
}

/** Computes a transposed convolution of a channels-last tensor with the config's strides, padding and dilation. */
export function transposedConvolution(
  x: tf.Tensor,
  kernel: tf.Tensor,
  config: JsonObject,
  rank: 1 | 2 | 3,
): tf.Tensor {
  const strides = numbersAt(config, "strides", rank);
  const dilation = numbersAt(config, "dilation_rate", rank);
  const padding = stringAt(config, "padding") === "same" ? "same" : "valid";
  const sizes = outputSizes(x.shape.slice(1, -1), kernel.shape, config, rank);
  const shape = [sizeAt(x.shape, 0), ...sizes, sizeAt(kernel.shape, -2)];
  if (rank === 3) return conv3dTranspose(x, kernel, shape, strides, padding, dilation);
  if (rank === 2) return conv2dTranspose(x, kernel, shape, strides, padding, dilation);
  const planeShape = [sizeAt(shape, 0), 1, ...shape.slice(1)];
  return asPlane(x, (plane) =>
    conv2dTranspose(plane, tf.expandDims(kernel, 0), planeShape, [1, ...strides], padding, [1, ...dilation]),
  );
}

/** Returns the output sizes (`compute_conv_transpose_output_shape` of `keras/src/backend/common/backend_utils.py`). */
function outputSizes(
  sizes: readonly number[],
  kernelShape: readonly number[],
  config: JsonObject,
  rank: number,
): number[] {
  const strides = numbersAt(config, "strides", rank);
  const dilation = numbersAt(config, "dilation_rate", rank);
  const extra = config["output_padding"] == null ? undefined : numbersAt(config, "output_padding", rank);
  const same = config["padding"] === "same";
  return sizes.map((size, axis) => {
    const stride = strides[axis]!;
    const reach = (sizeAt(kernelShape, axis) - 1) * dilation[axis]! + 1;
    if (same) return extra ? (size - 1) * stride + (reach % 2) + extra[axis]! : size * stride;
    return (size - 1) * stride + reach + (extra?.[axis] ?? Math.max(reach, stride) - reach);
  });
}
