/** @file Fourier transforms of overlapping frames (`keras/src/backend/tensorflow/math.py`, stft, istft). */
import type { Json } from "../../checkpoint.ts";
import { dense } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { sizeAt } from "../../tensor.ts";
import { isTrueAt, numberAt } from "../../topology/config-values.ts";
import { everyNth, mirrorAxis, padAxis } from "../axes.ts";
import type { Kernel, KernelCall, KernelResult } from "../kernel.ts";
import { framed } from "./arrays.ts";
import { argumentOf, operandsOf, tensorList } from "./operands.ts";
import { inverseRealTransformed } from "./signals.ts";

export const shortTimeKernels: Readonly<Record<string, Kernel>> = {
  "ops.STFT": framesTransformed,
  "ops.ISTFT": framesJoined,
};

interface Framing {
  /** The window over the whole transform. */
  readonly window: Float64Array;
  readonly step: number;
  /** The number of samples at each end that are not part of the signal. */
  readonly margin: number;
}

function framingIn(config: KernelCall["config"]): Framing {
  const transform = numberAt(config, "fft_length");
  return {
    window: windowShape(config["window"] ?? null, numberAt(config, "sequence_length"), transform),
    step: numberAt(config, "sequence_stride"),
    margin: isTrueAt(config, "center") ? Math.floor(transform / 2) : 0,
  };
}

/** Computes the real and the imaginary part `[..., frames, frequencies]` of `[..., samples]`. */
function framesTransformed(call: KernelCall): KernelResult {
  const x = operandsOf(call, 1)[0];
  const { window, step, margin } = framingIn(call.config);
  const samples = margin === 0 ? x : mirrorAxis(x, x.rank - 1, margin);
  const frames = framed(samples, window.length, step);
  return { outputs: fourierMatrices(window).map((matrix) => dense(frames, matrix)) };
}

/** Adds up overlapping frames, each weighted by the window over the sum of all squared windows at a sample. */
function framesJoined(call: KernelCall): tf.Tensor {
  const parts = tensorList(argumentOf(call, 0, "x")) as [tf.Tensor, tf.Tensor];
  const { window, step, margin } = framingIn(call.config);
  const frames = inverseRealTransformed(parts, window.length);
  const shares = call.config["window"] === null ? [...window] : overlapShares(window, step);
  const whole = overlapped(tf.mul(frames, tf.tensor1d(shares)), step);
  const size = sizeAt(whole.shape, -1);
  const given = call.config["length"] ?? null;
  const length = given === null ? size - 2 * margin : Math.min(Number(given), size - margin);
  return everyNth(whole, whole.rank - 1, margin, length, 1);
}

function overlapShares(window: Float64Array, step: number): number[] {
  const sums = Array.from({ length: step }, (_, offset) => {
    let sum = 0;
    for (let place = offset; place < window.length; place += step) sum += window[place]! ** 2;
    return sum;
  });
  return Array.from(window, (height, place) => {
    const sum = sums[place % step]!;
    return sum === 0 ? 0 : height / sum;
  });
}

/**
 * Adds up `[..., frames, length]` to `[..., length + step (frames - 1)]`, as a sum of rows of pieces, one for each
 * overlapping frame.
 */
function overlapped(x: tf.Tensor, step: number): tf.Tensor {
  const [frames, length] = x.shape.slice(-2) as [number, number];
  const lead = x.shape.slice(0, -2);
  const layers = Math.ceil(length / step);
  const padded = padAxis(x, x.rank - 1, 0, layers * step - length);
  const sum = Array.from({ length: layers }, (_, layer) => {
    const pieces = everyNth(padded, x.rank - 1, layer * step, step, 1);
    const row = tf.reshape(pieces, [...lead, frames * step]);
    return padAxis(row, lead.length, layer * step, (layers - 1 - layer) * step);
  }).reduce((a, b) => tf.add(a, b));
  return everyNth(sum, lead.length, 0, length + step * (frames - 1), 1);
}

/**
 * Returns a window, given by name or by its heights, in the middle of a transform. Null is a rectangle over all of it.
 */
export function windowShape(window: Json, length: number, transform: number): Float64Array {
  const shape = new Float64Array(transform);
  if (window === null) return shape.fill(1);
  const heights = Array.isArray(window)
    ? window.map(Number)
    : raisedCosine(window === "hann" ? 0.5 : 0.54, length);
  shape.set(heights, Math.floor((transform - length) / 2));
  return shape;
}

/** Computes a raised cosine, whose period TensorFlow shortens by one for odd lengths. */
function raisedCosine(base: number, length: number): number[] {
  const period = length % 2 === 0 ? length : Math.max(1, length - 1);
  return Array.from({ length }, (_, index) =>
    length === 1 ? 1 : base - (1 - base) * Math.cos((2 * Math.PI * index) / period),
  );
}

/**
 * Returns matrices `[samples, frequencies]` that compute the real and imaginary part of a windowed Fourier transform.
 */
export function fourierMatrices(window: Float64Array): [tf.Tensor, tf.Tensor] {
  const size = window.length;
  const frequencies = Math.floor(size / 2) + 1;
  const matrix = (wave: (angle: number) => number): tf.Tensor => {
    const values = new Float32Array(size * frequencies);
    for (let sample = 0; sample < size; sample++) {
      for (let frequency = 0; frequency < frequencies; frequency++) {
        const angle = (2 * Math.PI * ((sample * frequency) % size)) / size;
        values[sample * frequencies + frequency] = window[sample]! * wave(angle);
      }
    }
    return tf.tensor2d(values, [size, frequencies]);
  };
  return [matrix(Math.cos), matrix((angle) => -Math.sin(angle))];
}
