import type { JsonObject } from "../../checkpoint.ts";
import type { Shape } from "../../tensor.ts";
import { booleanAt, countAt, sizesAt } from "../config-values.ts";
import type { LayerSpec } from "../layer-spec.ts";
import { operation } from "../layer-spec.ts";
import { requireRank, type Window, windowAt } from "./windows.ts";

/** @file Fourier transforms and sliding blocks of keras.ops (`keras/src/ops/math.py`, `nn.py`). */

/** Creates the spec of a transform whose outputs are a real and an imaginary part of one shape. */
function complex(name: string, shapeOf: (input: Shape, config: JsonObject) => Shape): LayerSpec {
  return {
    className: `ops.${name}`,
    defaults: { fft_length: null },
    outputShapes: ({ inputs, config }) => {
      const shape = shapeOf(inputs[0], config);
      return [shape, shape];
    },
  };
}

function lengthened(input: Shape, config: JsonObject, otherwise: (size: number) => number): number | null {
  const size = input.at(-1) ?? null;
  if (config["fft_length"] !== null) return countAt(config, "fft_length");
  return size === null ? null : otherwise(size);
}

/** Returns the number of positions of a window along each of two axes, padding included. */
export function blockCounts(config: JsonObject, sizes: readonly (number | null)[]): (number | null)[] {
  const [taps, rates, margins, strides] = [
    sizesAt(config, "kernel_size", 2),
    sizesAt(config, "dilation", 2),
    sizesAt(config, "padding", 2, 0),
    sizesAt(config, "stride", 2),
  ];
  return sizes.map((size, axis) =>
    blockCount(size, windowAt(axis, taps, strides, rates), margins[axis] ?? 0),
  );
}

function blockCount(
  size: number | null,
  { size: taps, stride, dilation }: Window,
  margin: number,
): number | null {
  return size === null ? null : Math.floor((size + 2 * margin - dilation * (taps - 1) - 1) / stride) + 1;
}

/**
 * Returns the number of overlapping frames of a signal, which is padded by half a transform at each end if centered.
 */
function frameCount(samples: number | null, config: JsonObject): number | null {
  const transform = countAt(config, "fft_length");
  const margins = booleanAt(config, "center") ? 2 * Math.floor(transform / 2) : 0;
  if (samples === null) return null;
  return 1 + Math.floor((samples + margins - transform) / countAt(config, "sequence_stride"));
}

/** Returns the number of samples that frames reconstruct, at most the requested length. */
function sampleCount(frames: number | null, config: JsonObject): number | null {
  const length = config["length"] === null ? null : countAt(config, "length");
  if (frames === null) return length;
  const transform = countAt(config, "fft_length");
  const margin = booleanAt(config, "center") ? Math.floor(transform / 2) : 0;
  const whole = (frames - 1) * countAt(config, "sequence_stride") + transform;
  return length === null ? whole - 2 * margin : Math.min(length, whole - margin);
}

const framing: JsonObject = { window: "hann", center: true };

const sliding: JsonObject = { dilation: 1, padding: 0, stride: 1 };

export const signalOpSpecs: readonly LayerSpec[] = [
  complex("FFT", (input) => input),
  complex("FFT2", (input) => input),
  complex("IFFT2", (input) => input),
  complex("RFFT", (input, config) => {
    const length = lengthened(input, config, (size) => size);
    return [...input.slice(0, -1), length === null ? null : Math.floor(length / 2) + 1];
  }),
  operation(
    "IRFFT",
    (input, { config }) => [...input.slice(0, -1), lengthened(input, config, (size) => 2 * (size - 1))],
    { fft_length: null },
  ),
  {
    className: "ops.STFT",
    defaults: framing,
    outputShapes: ({ inputs, config }) => {
      const frequencies = Math.floor(countAt(config, "fft_length") / 2) + 1;
      const shape = [...inputs[0].slice(0, -1), frameCount(inputs[0].at(-1) ?? null, config), frequencies];
      return [shape, shape];
    },
  },
  operation(
    "ISTFT",
    (input, { config }) => [...input.slice(0, -2), sampleCount(input.at(-2) ?? null, config)],
    { ...framing, length: null },
  ),
  operation(
    "Unfold",
    (input, { config }) => {
      requireRank(input, 4);
      const [batch = null, channels = null, ...sizes] = input;
      const [high, wide] = sizesAt(config, "kernel_size", 2) as [number, number];
      const [rows = null, columns = null] = blockCounts(config, sizes);
      const positions = rows === null || columns === null ? null : rows * columns;
      return [batch, channels === null ? null : channels * high * wide, positions];
    },
    sliding,
  ),
  operation(
    "Fold",
    ([batch = null, values = null], { config }) => {
      const [high, wide] = sizesAt(config, "kernel_size", 2) as [number, number];
      return [batch, values === null ? null : values / (high * wide), ...sizesAt(config, "output_size", 2)];
    },
    sliding,
  ),
];
