/** @file Layers of well-known packages that are none of Keras's, each by its public definition. */
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { integerAt, numberAt, sizesAt } from "../topology/config-values.ts";
import { nestedLayer } from "../topology/specs/recurrent-cells.ts";
import { axisOf, contractAxis } from "./axes.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { firstInput, weightIn } from "./kernel.ts";
import { unitLength } from "./normalization.ts";
import { weightsBelow } from "./recurrent/cells.ts";
import type { KernelOf } from "./wrappers.ts";
import { runInside } from "./wrappers.ts";

/** Returns the kernels of layers of packages. `kernelOf` finds the kernels of layers inside others. */
export function packageKernels(kernelOf: KernelOf): Readonly<Record<string, Kernel>> {
  return {
    "autokeras>ExpandLastDim": ({ inputs }) => tf.expandDims(firstInput(inputs), -1),
    "keras_contrib>InstanceNormalization": instanceNormalization,
    "ssd_keras>L2Normalization": ({ inputs, weights }) =>
      tf.mul(unitLength(firstInput(inputs), [3], 1e-6), weightIn(weights, "gamma")),
    "caffe_keras>Scale": ({ inputs, weights, config }) => {
      const x = firstInput(inputs);
      const shape = alongAxis(x, axisOf(integerAt(config, "axis"), x.rank));
      const scaled = tf.mul(x, tf.reshape(weightIn(weights, "gamma"), shape));
      return tf.add(scaled, tf.reshape(weightIn(weights, "beta"), shape));
    },
    "keras_deeplab>BilinearUpsampling": bilinearUpsampling,
    "Addons>WeightNormalization": (call) => weightNormalization(call, kernelOf),
  };
}

function alongAxis(x: tf.Tensor, axis: number | undefined): number[] {
  return x.shape.map((size, position) => (position === axis ? size : 1));
}

function instanceNormalization({ inputs, weights, config }: KernelCall): tf.Tensor {
  const x = firstInput(inputs);
  const axis = config["axis"] === null ? undefined : axisOf(integerAt(config, "axis"), x.rank);
  const axes = x.shape.map((_, position) => position).filter((position) => position > 0 && position !== axis);
  const centered = tf.sub(x, tf.mean(x, axes, true));
  const deviation = tf.sqrt(tf.mean(tf.square(centered), axes, true));
  const normalized = tf.div(centered, tf.add(deviation, numberAt(config, "epsilon")));
  const { gamma, beta } = weights;
  const shape = alongAxis(x, axis);
  const scaled = gamma ? tf.mul(normalized, tf.reshape(gamma, shape)) : normalized;
  return beta ? tf.add(scaled, tf.reshape(beta, shape)) : scaled;
}

/** Resizes `[N, H, W, C]` so that the corners of both images are one. */
function bilinearUpsampling({ inputs, config }: KernelCall): tf.Tensor {
  const x = firstInput(inputs);
  const factors = config["upsampling"] ? sizesAt(config, "upsampling", 2) : undefined;
  const sizes =
    factors?.map((factor, axis) => factor * sizeAt(x.shape, axis + 1)) ?? sizesAt(config, "output_size", 2);
  return sizes.reduce(
    (image, size, axis) => contractAxis(image, axis + 1, cornerRows(sizeAt(x.shape, axis + 1), size)),
    x,
  );
}

/** Returns the matrix `[to, from]` of a bilinear resize with aligned corners. */
function cornerRows(from: number, to: number): tf.Tensor2D {
  const rows = new Float32Array(to * from);
  const step = to > 1 ? (from - 1) / (to - 1) : 0;
  for (let row = 0; row < to; row++) {
    const place = row * step;
    const low = Math.min(Math.floor(place), from - 1);
    const high = Math.min(low + 1, from - 1);
    rows[row * from + low] = (rows[row * from + low] ?? 0) + 1 - (place - low);
    rows[row * from + high] = (rows[row * from + high] ?? 0) + place - low;
  }
  return tf.tensor2d(rows, [to, from]);
}

/** Runs the layer inside on its kernel at unit length by output, times `g`. */
function weightNormalization(call: KernelCall, kernelOf: KernelOf): KernelResult {
  const layer = nestedLayer(call.config, "layer");
  const weights = weightsBelow(call.weights, "layer");
  const direction = weightIn(call.weights, "v");
  const axes = direction.shape.map((_, axis) => axis).slice(0, -1);
  const kernel = tf.mul(unitLength(direction, axes, 1e-6), weightIn(call.weights, "g"));
  return runInside(kernelOf, layer, { ...call, weights: { ...weights, kernel }, kwargs: {} });
}
