/** Pooling layers (`keras/src/layers/pooling`). Channels-first tensors are turned, computed and turned back. */

import type { Padding, Spatial } from "../engine/operations.ts";
import { averagePool2d, averagePool3d, max, maxPool2d, maxPool3d, mean } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { flagIn, numbersIn, stringIn } from "./config.ts";
import { asPlane } from "./convolution.ts";
import { channelsLast, isChannelsFirst } from "./data-format.ts";
import type { Kernel, KernelCall } from "./kernel.ts";

type Pool = (x: tf.Tensor, poolSize: Spatial, strides: Spatial, padding: Padding) => tf.Tensor;

export const poolingKernels: Readonly<Record<string, Kernel>> = {
  MaxPooling1D: pooling(1, maxPool2d),
  MaxPooling2D: pooling(2, maxPool2d),
  MaxPooling3D: pooling(3, maxPool3d),
  AveragePooling1D: pooling(1, averagePool2d),
  AveragePooling2D: pooling(2, averagePool2d),
  AveragePooling3D: pooling(3, averagePool3d),
  GlobalAveragePooling1D: maskedMean,
  GlobalAveragePooling2D: globalPooling(mean),
  GlobalAveragePooling3D: globalPooling(mean),
  GlobalMaxPooling1D: globalPooling(max),
  GlobalMaxPooling2D: globalPooling(max),
  GlobalMaxPooling3D: globalPooling(max),
};

function pooling(rank: 1 | 2 | 3, pool: Pool): Kernel {
  return ({ inputs, config }) => {
    const poolSize = numbersIn(config, "pool_size", rank);
    const strides = config["strides"] == null ? poolSize : numbersIn(config, "strides", rank);
    const padding = stringIn(config, "padding") as Padding;
    return channelsLast(inputs[0]!, config, (x) =>
      rank === 1
        ? asPlane(x, (plane) => pool(plane, [1, ...poolSize], [1, ...strides], padding))
        : pool(x, poolSize, strides, padding),
    );
  };
}

function globalPooling(reduce: typeof mean): Kernel {
  return ({ inputs, config }) => {
    const x = inputs[0]!;
    return reduce(x, spatialAxes(x.rank, isChannelsFirst(config)), flagIn(config, "keepdims"));
  };
}

/** The mean of the steps that the mask shows (`global_average_pooling1d.py`). */
function maskedMean(call: KernelCall): tf.Tensor {
  const { inputs, config, kwargs, masks } = call;
  const x = inputs[0]!;
  const axes = spatialAxes(x.rank, isChannelsFirst(config));
  const given = kwargs["mask"];
  const mask = given instanceof tf.Tensor ? given : masks[0];
  if (!mask) return mean(x, axes, flagIn(config, "keepdims"));
  const shown = tf.expandDims(tf.cast(mask, "float32"), isChannelsFirst(config) ? 1 : 2);
  const keepDims = flagIn(config, "keepdims");
  return tf.div(tf.sum(tf.mul(x, shown), axes, keepDims), tf.sum(shown, axes, keepDims));
}

function spatialAxes(rank: number, channelsFirst: boolean): number[] {
  const first = channelsFirst ? 2 : 1;
  return Array.from({ length: rank - 2 }, (_, index) => first + index);
}
