/** @file Functions of keras.ops that move, join or resample axes (`keras/src/ops/numpy.py`, `core.py`, `image.py`). */
import type { JsonObject } from "../../checkpoint.ts";
import type { Padding } from "../../engine/operations.ts";
import { averagePool2d, maxPool2d } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt, numberAt, numberList, numbersAt, stringAt } from "../../topology/config-values.ts";
import { axesOf, axisOf, channelsLast, everyNth, padAxis, repeatAxis } from "../axes.ts";
import type { Kernel, KernelArgument, KernelCall, KernelResult } from "../kernel.ts";
import { unsupported } from "../kernel.ts";
import { unitLength } from "../normalization.ts";
import { pooled } from "../pooling.ts";
import { croppedToAspectRatio, paddedToAspectRatio, resized } from "../resampling.ts";
import { indexed, taken } from "./indexing.ts";
import { matmul } from "./matrix-products.ts";
import { argumentOf, ofTwo, operandsOf, requiredOperand, tensorList } from "./operands.ts";

type Op = (x: tf.Tensor, config: JsonObject, call: KernelCall) => tf.Tensor;

const moves: Readonly<Record<string, Op>> = {
  Reshape: (x, config) => tf.reshape(x, [...numberList(config["newshape"])]),
  Transpose: (x, config) =>
    config["axes"] == null ? tf.transpose(x) : tf.transpose(x, axesOf(numberList(config["axes"]), x.rank)),
  Swapaxes: (x, config) => {
    const [a, b] = axesOf([numberAt(config, "axis1"), numberAt(config, "axis2")], x.rank) as [number, number];
    return tf.transpose(
      x,
      x.shape.map((_, axis) => (axis === a ? b : axis === b ? a : axis)),
    );
  },
  Moveaxis: (x, config) => {
    const from = axesOf(numberList(config["source"]), x.rank);
    const to = axesOf(numberList(config["destination"]), x.rank);
    const others = x.shape.map((_, axis) => axis).filter((axis) => !from.includes(axis));
    const order = x.shape.map((_, axis) => (to.includes(axis) ? from[to.indexOf(axis)]! : others.shift()!));
    return tf.transpose(x, order);
  },
  ExpandDims: (x, config) => {
    const axes = numberList(config["axis"]);
    const rank = x.rank + axes.length;
    return axesOf(axes, rank)
      .sort((a, b) => a - b)
      .reduce((value, axis) => tf.expandDims(value, axis), x);
  },
  Squeeze: (x, config) =>
    config["axis"] == null ? tf.squeeze(x) : tf.squeeze(x, axesOf(numberList(config["axis"]), x.rank)),
  Tile: (x, config) => {
    const repeats = numberList(config["repeats"]);
    return repeats.reduce((value, times, index) => {
      const axis = x.rank - repeats.length + index;
      return times === 1
        ? value
        : tf.concat(
            Array.from({ length: times }, () => value),
            axis,
          );
    }, x);
  },
  Repeat: (x, config) =>
    config["axis"] === null
      ? repeated(tf.reshape(x, [-1]), 0, numberList(config["repeats"]))
      : repeated(x, axisOf(numberAt(config, "axis"), x.rank), numberList(config["repeats"])),
  Flip: (x, config) =>
    tf.reverse(x, config["axis"] == null ? undefined : axesOf(numberList(config["axis"]), x.rank)),
  Roll: rolled,
  Pad: padded,
  BroadcastTo: (x, config) => tf.broadcastTo(x, [...numberList(config["shape"])] as [number]),
  Take: (x, config, call) => {
    const values = config["axis"] === null ? tf.reshape(x, [-1]) : x;
    const axis = config["axis"] === null ? 0 : axisOf(numberAt(config, "axis"), x.rank);
    return gatheredAt(values, requiredOperand(call, 1, "indices"), axis);
  },
  GetItem: (x, _, call) => indexed(x, argumentOf(call, 1, "key") as KernelArgument),
  OneHot: (x, config) => {
    const classes = tf.range(0, numberAt(config, "num_classes"), 1, "int32");
    return tf.cast(tf.equal(tf.expandDims(tf.cast(x, "int32"), -1), classes), "float32");
  },
  Normalize: normalized,
  Resize: resize,
  MaxPool: (x, config) => pool(x, config, maxPool2d),
  AveragePool: (x, config) => pool(x, config, averagePool2d),
};

export const shapeOpKernels: Readonly<Record<string, Kernel>> = Object.fromEntries([
  ...Object.entries(moves).map(([name, op]): [string, Kernel] => [
    `ops.${name}`,
    (call) => op(operandsOf(call, 1)[0], call.config, call),
  ]),
  ["ops.Concatenate", joined((tensors, axis) => tf.concat(tensors, axisOf(axis, tensors[0]!.rank)))],
  ["ops.Stack", joined((tensors, axis) => tf.stack(tensors, axisOf(axis, tensors[0]!.rank + 1)))],
  ["ops.Split", split],
  ["ops.Matmul", ofTwo(matmul)],
  ["ops.Dot", ofTwo(dot)],
]);

/** Computes `numpy.dot`, over the last axis of `a` and the last but one of `b`. */
function dot(a: tf.Tensor, b: tf.Tensor): tf.Tensor {
  return b.rank <= 2 ? matmul(a, b) : tf.dot(a, b);
}

/** Gathers slices along an axis. Negative indices count from the end. */
function gatheredAt(x: tf.Tensor, indices: tf.Tensor, axis: number): tf.Tensor {
  const places = tf.cast(indices, "int32");
  const size = tf.scalar(sizeAt(x.shape, axis), "int32");
  return tf.gather(x, tf.where(tf.less(places, 0), tf.add(places, size), places) as tf.Tensor1D, axis);
}

function joined(join: (tensors: tf.Tensor[], axis: number) => tf.Tensor): Kernel {
  return (call) =>
    join(tensorList(argumentOf(call, 0, "xs") ?? argumentOf(call, 0, "x")), numberAt(call.config, "axis"));
}

function split(call: KernelCall): KernelResult {
  const x = operandsOf(call, 1)[0];
  const { config } = call;
  const axis = axisOf(numberAt(config, "axis"), x.rank);
  const given = config["indices_or_sections"];
  const size = sizeAt(x.shape, axis);
  const cuts = Array.isArray(given)
    ? [0, ...numberList(given), size]
    : Array.from({ length: Number(given) + 1 }, (_, part) => (part * size) / Number(given));
  return {
    outputs: cuts.slice(1).map((end, part) => everyNth(x, axis, cuts[part]!, end - cuts[part]!, 1)),
  };
}

/** Repeats slices along an axis, all equally often or each by its own number. */
function repeated(x: tf.Tensor, axis: number, times: readonly number[]): tf.Tensor {
  if (times.length === 1) return repeatAxis(x, axis, times[0]!);
  const places = times.flatMap((count, place) => new Array<number>(count).fill(place));
  return taken(x, axis, places);
}

/** Shifts values along axes, or without an axis all values in order. */
function rolled(x: tf.Tensor, config: JsonObject): tf.Tensor {
  const shifts = numberList(config["shift"]);
  if (config["axis"] === null) return tf.reshape(rolledAlong(tf.reshape(x, [-1]), 0, shifts[0]!), x.shape);
  const axes = axesOf(numberList(config["axis"]), x.rank);
  return axes.reduce((value, axis, index) => rolledAlong(value, axis, shifts[index]!), x);
}

function rolledAlong(x: tf.Tensor, axis: number, by: number): tf.Tensor {
  const size = sizeAt(x.shape, axis);
  const shift = ((by % size) + size) % size;
  if (shift === 0) return x;
  return tf.concat([everyNth(x, axis, size - shift, shift, 1), everyNth(x, axis, 0, size - shift, 1)], axis);
}

/** Pads with a constant, or by mirroring with the border (`symmetric`) or without it (`reflect`). */
function padded(x: tf.Tensor, config: JsonObject, { kwargs }: KernelCall): tf.Tensor {
  const flat = numberList(config["pad_width"]);
  const mode = config["mode"] ?? "constant";
  const value = kwargs["constant_values"] ?? config["constant_values"] ?? 0;
  return x.shape.reduce((result, size, axis) => {
    const [before, after] = [flat[2 * axis] ?? 0, flat[2 * axis + 1] ?? 0];
    if (before === 0 && after === 0) return result;
    if (mode === "constant") return padAxis(result, axis, before, after, value as number);
    if (mode !== "reflect" && mode !== "symmetric") {
      throw unsupported(`padding mode "${String(mode)}"`, "Use constant, reflect or symmetric.");
    }
    const border = mode === "reflect" ? 0 : 1;
    const positions = Array.from({ length: before + size + after }, (_, index) => {
      const position = index - before;
      if (position < 0) return -position - border;
      return position < size ? position : 2 * (size - 1) - position + border;
    });
    return taken(result, axis, positions);
  }, x);
}

function normalized(x: tf.Tensor, config: JsonObject): tf.Tensor {
  const axes = axesOf(numberList(config["axis"]), x.rank);
  const epsilon = typeof config["epsilon"] === "number" ? config["epsilon"] : 1e-7;
  const order = numberAt(config, "order");
  if (order === 2) return unitLength(x, axes, epsilon);
  const norm = tf.pow(tf.sum(tf.pow(tf.abs(x), order), axes, true), 1 / order);
  return tf.div(x, tf.maximum(norm, epsilon));
}

function resize(x: tf.Tensor, config: JsonObject): tf.Tensor {
  const size = numbersAt(config, "size", 2);
  return channelsLast(x, config, (image) => {
    const framed = isTrueAt(config, "crop_to_aspect_ratio")
      ? croppedToAspectRatio(image, size)
      : isTrueAt(config, "pad_to_aspect_ratio")
        ? paddedToAspectRatio(image, size, numberAt(config, "fill_value"))
        : image;
    return resized(framed, size, stringAt(config, "interpolation"), isTrueAt(config, "antialias"));
  });
}

function pool(x: tf.Tensor, config: JsonObject, reduce: typeof maxPool2d): tf.Tensor {
  const rank = x.rank - 2;
  const poolSize = numbersAt(config, "pool_size", rank);
  const strides = config["strides"] == null ? poolSize : numbersAt(config, "strides", rank);
  const padding = stringAt(config, "padding") as Padding;
  return channelsLast(x, config, (value) => pooled(value, reduce, poolSize, strides, padding));
}
