/** @file Preprocessing layers (`keras/src/layers/preprocessing`). */
import type { JsonObject } from "../checkpoint.ts";
import { chosen, max } from "../engine/operations.ts";
import { tf } from "../engine/tf.ts";
import { isTrueAt, numberAt, numberList, stringAt } from "../topology/config-values.ts";
import { axesOf, channelsLast } from "./axes.ts";
import type { Kernel, KernelCall } from "./kernel.ts";
import { firstInput } from "./kernel.ts";
import { min } from "./ops/along-axes.ts";
import { croppedToAspectRatio, paddedToAspectRatio, resized } from "./resampling.ts";

export const preprocessingKernels: Readonly<Record<string, Kernel>> = {
  Rescaling: ({ inputs, config }) =>
    tf.add(tf.mul(asFloat(firstInput(inputs)), factor(config, "scale")), factor(config, "offset")),
  Normalization: normalization,
  Resizing: resizing,
  CenterCrop: centerCrop,
  AutoContrast: ({ inputs, config }) => autoContrast(asFloat(firstInput(inputs)), config),
};

function normalization({ inputs, weights, config }: KernelCall): tf.Tensor {
  const x = asFloat(firstInput(inputs));
  const kept = axesOf(numberList(config["axis"]), x.rank);
  const shape = x.shape.map((size, axis) => (kept.includes(axis) ? size : 1));
  const statistic = (name: "mean" | "variance"): tf.Tensor => {
    const given = weights[name] ?? tf.tensor1d([...numberList(config[name])]);
    return tf.reshape(given, given.size === 1 ? shape.map(() => 1) : shape);
  };
  const mean = statistic("mean");
  const deviation = tf.maximum(tf.sqrt(statistic("variance")), 1e-7);
  return isTrueAt(config, "invert") ? tf.add(mean, tf.mul(x, deviation)) : tf.div(tf.sub(x, mean), deviation);
}

function resizing({ inputs, config }: KernelCall): tf.Tensor {
  const size = [numberAt(config, "height"), numberAt(config, "width")] as const;
  return channelsLast(asFloat(firstInput(inputs)), config, (x) => {
    const framed = isTrueAt(config, "crop_to_aspect_ratio")
      ? croppedToAspectRatio(x, size)
      : isTrueAt(config, "pad_to_aspect_ratio")
        ? paddedToAspectRatio(x, size, numberAt(config, "fill_value"))
        : x;
    return resized(framed, size, stringAt(config, "interpolation"), isTrueAt(config, "antialias"));
  });
}

/** Crops the center. An image smaller than the crop is instead cropped to its proportions and enlarged. */
function centerCrop({ inputs, config }: KernelCall): tf.Tensor {
  const height = numberAt(config, "height");
  const width = numberAt(config, "width");
  return channelsLast(asFloat(firstInput(inputs)), config, (x) => {
    const [batch, high, wide, channels] = x.shape as [number, number, number, number];
    if (high < height || wide < width) {
      const size = [height, width] as const;
      return resized(croppedToAspectRatio(x, size), size, "bilinear", false);
    }
    const top = Math.floor((high - height) / 2);
    const left = Math.floor((wide - width) / 2);
    return tf.slice(x, [0, top, left, 0], [batch, height, width, channels]);
  });
}

/** Stretches each channel of an image to the whole range of values. A channel of a single value is unchanged. */
export function autoContrast(x: tf.Tensor, config: JsonObject): tf.Tensor {
  const [low, high] = [...numberList(config["value_range"])].sort((a, b) => a - b) as [number, number];
  const pixels = tf.mul(tf.sub(x, low), 255 / (high - low));
  const least = min(pixels, [1, 2], true);
  const reach = tf.sub(max(pixels, [1, 2], true), least);
  const flat = tf.equal(reach, 0);
  const scale = tf.div(255, tf.where(flat, tf.onesLike(reach), reach));
  const spread = tf.clipByValue(tf.sub(tf.mul(pixels, scale), tf.mul(least, scale)), 0, 255);
  return chosen(flat, x, tf.add(tf.mul(spread, (high - low) / 255), low));
}

/** Returns a number, or a tensor with one number for each channel. */
function factor(config: JsonObject, name: string): number | tf.Tensor {
  const values = numberList(config[name]);
  return values.length === 1 ? values[0]! : tf.tensor1d([...values]);
}

function asFloat(x: tf.Tensor): tf.Tensor {
  return x.dtype === "float32" ? x : tf.cast(x, "float32");
}
