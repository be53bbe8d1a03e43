/** @file Layers that rearrange values (`keras/src/layers/reshaping`). */
import type { Json, JsonObject } from "../checkpoint.ts";
import { tf } from "../engine/tf.ts";
import { sizeAt } from "../tensor.ts";
import { numberAt, numberList, numbersAt, stringAt } from "../topology/config-values.ts";
import { channelsLast, isChannelsFirst, product, repeatAxis, toChannelsLast } from "./axes.ts";
import type { Kernel } from "./kernel.ts";
import { firstInput } from "./kernel.ts";
import { resized } from "./resampling.ts";

export const reshapingKernels: Readonly<Record<string, Kernel>> = {
  Flatten: ({ inputs, config }) => {
    const x = firstInput(inputs);
    const ordered = isChannelsFirst(config) && x.rank > 2 ? toChannelsLast(x) : x;
    return tf.reshape(ordered, [sizeAt(x.shape, 0), product(x.shape.slice(1))]);
  },
  Reshape: ({ inputs, config }) => {
    const x = firstInput(inputs);
    return tf.reshape(x, [sizeAt(x.shape, 0), ...numberList(config["target_shape"])]);
  },
  Permute: ({ inputs, config }) => tf.transpose(firstInput(inputs), [0, ...numberList(config["dims"])]),
  RepeatVector: ({ inputs, config }) =>
    tf.tile(tf.expandDims(firstInput(inputs), 1), [1, numberAt(config, "n"), 1]),
  ZeroPadding1D: zeroPadding(1),
  ZeroPadding2D: zeroPadding(2),
  ZeroPadding3D: zeroPadding(3),
  Cropping1D: cropping(1),
  Cropping2D: cropping(2),
  Cropping3D: cropping(3),
  UpSampling1D: ({ inputs, config }) => repeatAxis(firstInput(inputs), 1, numberAt(config, "size")),
  UpSampling2D: ({ inputs, config }) => {
    const interpolation = stringAt(config, "interpolation");
    const [high, wide] = numbersAt(config, "size", 2);
    if (interpolation === "nearest") return upSampled(firstInput(inputs), config, [high, wide]);
    return channelsLast(firstInput(inputs), config, (x) =>
      resized(x, [sizeAt(x.shape, 1) * high, sizeAt(x.shape, 2) * wide], interpolation, false),
    );
  },
  UpSampling3D: ({ inputs, config }) => upSampled(firstInput(inputs), config, numbersAt(config, "size", 3)),
};

/** Repeats each value on every spatial axis. */
function upSampled(x: tf.Tensor, config: JsonObject, factors: readonly number[]): tf.Tensor {
  const first = isChannelsFirst(config) ? 2 : 1;
  return factors.reduce((value, factor, axis) => repeatAxis(value, first + axis, factor), x);
}

function zeroPadding(rank: number): Kernel {
  return ({ inputs, config }) => {
    const sides = sidesIn(config["padding"], rank);
    return tf.pad(firstInput(inputs), onSpatialAxes<[number, number]>(sides, config, [0, 0]));
  };
}

function cropping(rank: number): Kernel {
  return ({ inputs, config }) => {
    const x = firstInput(inputs);
    const sides = onSpatialAxes<[number, number]>(sidesIn(config["cropping"], rank), config, [0, 0]);
    return tf.slice(
      x,
      sides.map(([before]) => before),
      sides.map(([before, after], axis) => sizeAt(x.shape, axis) - before - after),
    );
  };
}

/** Extends a list with a value for each spatial axis to one for every axis. */
export function onSpatialAxes<T>(spatial: readonly T[], config: JsonObject, others: T): T[] {
  return isChannelsFirst(config) ? [others, others, ...spatial] : [others, ...spatial, others];
}

/**
 * Returns the padding or cropping on both sides of each spatial axis. Keras writes both sides; a config may also give
 * one number, or one for each axis.
 */
function sidesIn(value: Json | undefined, rank: number): [number, number][] {
  const flat = numberList(value);
  return Array.from({ length: rank }, (_, axis): [number, number] => {
    if (flat.length === 2 * rank) return [flat[2 * axis]!, flat[2 * axis + 1]!];
    const both = flat.length === rank ? flat[axis]! : flat[0]!;
    return [both, both];
  });
}
