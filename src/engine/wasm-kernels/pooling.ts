/** @file Pooling that the WebAssembly backend computes incorrectly: the gradients, and pooling in three dimensions. */
import { tf } from "../tf.ts";
import type { Shape } from "./replace-kernel.ts";
import { onHeap } from "./replace-kernel.ts";

interface PoolAttributes {
  readonly filterSize: number | number[];
  readonly strides: number | number[];
  readonly pad: "valid" | "same" | number;
  readonly dimRoundingMode?: "floor" | "round" | "ceil";
}

type Triple = readonly [number, number, number];

/** The geometry of a pooling of `[N, D, H, W, C]`. Two dimensions have a depth of 1. */
interface Pooling {
  readonly batch: number;
  readonly channels: number;
  readonly input: Triple;
  readonly output: Triple;
  readonly window: Triple;
  readonly strides: Triple;
  readonly before: Triple;
}

/**
 * Visits a window of one image. The arguments are the positions of its result and of its inputs, each of the first
 * channel.
 */
type Visit = (output: number, inputs: readonly number[]) => void;

export function registerPooling(): void {
  for (const [kernel, pool] of Object.entries({ MaxPool3D: maxPool, AvgPool3D: averagePool })) {
    onHeap(kernel, {
      reads: ["x"],
      shapes: ["x"],
      shapeOf: ([shape], attributes: PoolAttributes) => pooledShape(shape, attributes),
      compute: ([x], y, attributes, [shape]) => pool(poolingOf(shape, attributes), x, y),
    });
  }
  for (const kernel of ["MaxPoolGrad", "MaxPool3DGrad"]) {
    onHeap(kernel, {
      reads: ["input", "output", "dy"],
      shapes: ["input"],
      shapeOf: ([shape]) => shape,
      compute: ([x, y, dy], dx, attributes: PoolAttributes, [shape]) =>
        maxPoolGradient(poolingOf(shape, attributes), x, y, dy, dx),
    });
  }
  for (const kernel of ["AvgPoolGrad", "AvgPool3DGrad"]) {
    onHeap(kernel, {
      reads: ["dy"],
      shapes: ["input"],
      shapeOf: ([shape]) => shape,
      compute: ([dy], dx, attributes: PoolAttributes, [shape]) =>
        averagePoolGradient(poolingOf(shape, attributes), dy, dx),
    });
  }
}

function pooledShape(shape: Shape, attributes: PoolAttributes): Shape {
  const { batch, output, channels } = poolingOf(shape, attributes);
  return [batch, ...output, channels];
}

/** Returns the geometry of a pooling of a channels-last `shape` of rank 4 or 5. */
function poolingOf(shape: readonly number[], attributes: PoolAttributes): Pooling {
  const { filterSize, strides, pad, dimRoundingMode } = attributes;
  if (shape.length === 5) {
    const info = tf.backend_util.computePool3DInfo(
      shape as [number, number, number, number, number],
      filterSize as [number, number, number],
      strides as [number, number, number],
      1,
      pad,
      dimRoundingMode,
    );
    return {
      batch: info.batchSize,
      channels: info.inChannels,
      input: [info.inDepth, info.inHeight, info.inWidth],
      output: [info.outDepth, info.outHeight, info.outWidth],
      window: [info.filterDepth, info.filterHeight, info.filterWidth],
      strides: [info.strideDepth, info.strideHeight, info.strideWidth],
      before: notNegative([info.padInfo.front, info.padInfo.top, info.padInfo.left]),
    };
  }
  const info = tf.backend_util.computePool2DInfo(
    shape as [number, number, number, number],
    filterSize as [number, number],
    strides as [number, number],
    1,
    pad,
    dimRoundingMode,
  );
  return {
    batch: info.batchSize,
    channels: info.inChannels,
    input: [1, info.inHeight, info.inWidth],
    output: [1, info.outHeight, info.outWidth],
    window: [1, info.filterHeight, info.filterWidth],
    strides: [1, info.strideHeight, info.strideWidth],
    before: [0, info.padInfo.top, info.padInfo.left],
  };
}

/** Replaces negative padding, which tfjs computes if a stride skips the end of an axis, by none. */
function notNegative([front, top, left]: Triple): Triple {
  return [Math.max(front, 0), Math.max(top, 0), Math.max(left, 0)];
}

/** Writes the maximum of each window to `y`. */
function maxPool(pooling: Pooling, x: Float32Array, y: Float32Array): void {
  y.fill(Number.NEGATIVE_INFINITY);
  eachWindow(pooling, (output, inputs) => {
    for (const input of inputs) {
      for (let channel = 0; channel < pooling.channels; channel++) {
        const value = x[input + channel]!;
        if (value > y[output + channel]!) y[output + channel] = value;
      }
    }
  });
}

/** Writes the mean of each window to `y`, without padding. */
function averagePool(pooling: Pooling, x: Float32Array, y: Float32Array): void {
  y.fill(0);
  eachWindow(pooling, (output, inputs) => {
    for (const input of inputs) {
      for (let channel = 0; channel < pooling.channels; channel++)
        y[output + channel]! += x[input + channel]!;
    }
    for (let channel = 0; channel < pooling.channels; channel++) y[output + channel]! /= inputs.length;
  });
}

/** Adds `dy` to `dx` at the first maximum of each window, as TensorFlow does. */
function maxPoolGradient(
  pooling: Pooling,
  x: Float32Array,
  y: Float32Array,
  dy: Float32Array,
  dx: Float32Array,
): void {
  dx.fill(0);
  eachWindow(pooling, (output, inputs) => {
    for (let channel = 0; channel < pooling.channels; channel++) {
      const largest = y[output + channel]!;
      for (const input of inputs) {
        if (x[input + channel] !== largest) continue;
        dx[input + channel]! += dy[output + channel]!;
        break;
      }
    }
  });
}

/** Spreads `dy` evenly over the inputs of each window, without padding. */
function averagePoolGradient(pooling: Pooling, dy: Float32Array, dx: Float32Array): void {
  dx.fill(0);
  eachWindow(pooling, (output, inputs) => {
    const share = 1 / inputs.length;
    for (const input of inputs) {
      for (let channel = 0; channel < pooling.channels; channel++) {
        dx[input + channel]! += dy[output + channel]! * share;
      }
    }
  });
}

function eachWindow(
  { batch, channels, input, output, window, strides, before }: Pooling,
  visit: Visit,
): void {
  const reach = (axis: 0 | 1 | 2): [number, number][] =>
    Array.from({ length: output[axis] }, (_, position) => {
      const start = position * strides[axis] - before[axis];
      return [Math.max(start, 0), Math.min(start + window[axis], input[axis])];
    });
  const [depths, rows, columns] = [reach(0), reach(1), reach(2)];
  const imageSize = input[0] * input[1] * input[2] * channels;
  let value = 0;
  for (let image = 0; image < batch; image++) {
    for (const [front, back] of depths) {
      for (const [top, bottom] of rows) {
        for (const [left, right] of columns) {
          const inputs: number[] = [];
          for (let depth = front; depth < back; depth++) {
            for (let row = top; row < bottom; row++) {
              for (let column = left; column < right; column++) {
                inputs.push(image * imageSize + ((depth * input[1] + row) * input[2] + column) * channels);
              }
            }
          }
          visit(value, inputs);
          value += channels;
        }
      }
    }
  }
}
