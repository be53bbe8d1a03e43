/** @file Pooling layers (`keras/src/layers/pooling`). Channels-first tensors are transposed before and after. */

import type { Padding, Spatial } from "../engine/operations.ts";
import { averagePool2d, max, maxPool2d, mean } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { isTrueAt, numbersAt, stringAt } from "../topology/config-values.ts";
import { channelsLast, everyNth, isChannelsFirst } from "./axes.ts";
import { asPlane } from "./convolution.ts";
import type { Kernel, KernelCall, KernelResult } from "./kernel.ts";
import { firstInput } from "./kernel.ts";
import { pool3d } from "./numerics/volume.ts";

type Pool = (x: tf.Tensor, poolSize: Spatial, strides: Spatial, padding: Padding) => tf.Tensor;

export const poolingKernels: Readonly<Record<string, Kernel>> = {
  MaxPooling1D: pooling(1, maxPool2d),
  MaxPooling2D: pooling(2, maxPool2d),
  MaxPooling3D: pooling(3, maxPool2d),
  AveragePooling1D: pooling(1, averagePool2d),
  AveragePooling2D: pooling(2, averagePool2d),
  AveragePooling3D: pooling(3, averagePool2d),
  GlobalAveragePooling1D: maskedMean,
  GlobalAveragePooling2D: globalPooling(mean),
  GlobalAveragePooling3D: globalPooling(mean),
  GlobalMaxPooling1D: globalPooling(max),
  GlobalMaxPooling2D: globalPooling(max),
  GlobalMaxPooling3D: globalPooling(max),
  AdaptiveAveragePooling1D: adaptivePooling(1, mean),
  AdaptiveAveragePooling2D: adaptivePooling(2, mean),
  AdaptiveAveragePooling3D: adaptivePooling(3, mean),
  AdaptiveMaxPooling1D: adaptivePooling(1, max),
  AdaptiveMaxPooling2D: adaptivePooling(2, max),
  AdaptiveMaxPooling3D: adaptivePooling(3, max),
};

function pooling(rank: 1 | 2 | 3, pool: Pool): Kernel {
  return ({ inputs, config }) => {
    const poolSize = numbersAt(config, "pool_size", rank);
    const strides = config["strides"] == null ? poolSize : numbersAt(config, "strides", rank);
    const padding = stringAt(config, "padding") as Padding;
    return channelsLast(firstInput(inputs), config, (x) => pooled(x, pool, poolSize, strides, padding));
  };
}

/** Pools windows of a channels-last tensor of rank 3 to 5. */
export function pooled(
  x: tf.Tensor,
  pool: Pool,
  poolSize: Spatial,
  strides: Spatial,
  padding: Padding,
): tf.Tensor {
  if (x.rank === 5) return pool3d(x, pool, poolSize, strides, padding);
  if (x.rank === 4) return pool(x, poolSize, strides, padding);
  return asPlane(x, (plane) => pool(plane, [1, ...poolSize], [1, ...strides], padding));
}

function globalPooling(reduce: typeof mean): Kernel {
  return ({ inputs, config }) => {
    const x = firstInput(inputs);
    return reduce(x, spatialAxes(x.rank, isChannelsFirst(config)), isTrueAt(config, "keepdims"));
  };
}

/** Computes the mean of the steps that the mask shows (`global_average_pooling1d.py`). */
function maskedMean(call: KernelCall): KernelResult {
  const { inputs, config, kwargs, masks } = call;
  const x = firstInput(inputs);
  const axes = spatialAxes(x.rank, isChannelsFirst(config));
  const given = kwargs["mask"];
  const mask = given instanceof tf.Tensor ? given : masks[0];
  if (!mask) return { outputs: [mean(x, axes, isTrueAt(config, "keepdims"))] };
  const shown = tf.expandDims(tf.cast(mask, "float32"), isChannelsFirst(config) ? 1 : 2);
  const keepDims = isTrueAt(config, "keepdims");
  const sums = [tf.sum(tf.mul(x, shown), axes, keepDims), tf.sum(shown, axes, keepDims)] as const;
  return { outputs: [tf.div(...sums)], masks: [undefined] };
}

/**
 * Creates a kernel that pools to a given number of positions, over `rank` spatial axes or all that the input has.
 * Windows overlap if the size is not a multiple. Axes are pooled one after another (`base_adaptive_pooling.py`).
 */
export function adaptivePooling(rank: number | undefined, reduce: typeof mean): Kernel {
  return ({ inputs, config }) => {
    const sizes = numbersAt(config, "output_size", rank ?? firstInput(inputs).rank - 2);
    return channelsLast(firstInput(inputs), config, (x) =>
      sizes.reduce((value, size, axis) => adaptiveAxis(value, axis + 1, size, reduce), x),
    );
  };
}

function adaptiveAxis(x: tf.Tensor, axis: number, size: number, reduce: typeof mean): tf.Tensor {
  const whole = sizeAt(x.shape, axis);
  const windows = Array.from({ length: size }, (_, index) => {
    const start = Math.floor((index * whole) / size);
    const end = Math.ceil(((index + 1) * whole) / size);
    return reduce(everyNth(x, axis, start, end - start, 1), [axis], true);
  });
  return tf.concat(windows, axis);
}

function spatialAxes(rank: number, channelsFirst: boolean): number[] {
  const first = channelsFirst ? 2 : 1;
  return Array.from({ length: rank - 2 }, (_, index) => first + index);
}
