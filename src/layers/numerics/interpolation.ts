/**
 * @file The weights by which each pixel of a resized axis reads the pixels of the original: the rows of a matrix `[to,
 * from]`. Positions are half-pixel centers, in float32 where TensorFlow computes them in float32
 * (`tensorflow/core/kernels/image/*resize*`, `scale_and_translate_op.cc`).
 */

import { roundHalfEven } from "../../tensor.ts";
import { keysCubic, lanczos, mitchellCubic, numberArithmetic } from "./resize-kernels.ts";

const float32 = Math.fround;

/** Returns rows with a single 1. */
export function nearestRows(from: number, to: number): Float32Array {
  const scale = float32(from / to);
  return matrix(from, to, (row, x) => {
    row[clamp(Math.floor(float32((x + 0.5) * scale)), from)] = 1;
  });
}

/** Returns the rows of an interpolation, undefined if it is unknown. */
export function interpolationRows(
  interpolation: string,
  antialias: boolean,
  from: number,
  to: number,
): Float32Array | undefined {
  if (interpolation === "area") return areaRows(from, to);
  if (interpolation === "bilinear" && !antialias) return bilinearRows(from, to, 0.5);
  if (interpolation === "bilinear_from_corner") return bilinearRows(from, to, 0);
  if (interpolation === "bicubic" && !antialias) return bicubicRows(from, to);
  const kernel = kernels[interpolation];
  return kernel && kernelRows(kernel, antialias, from, to);
}

interface ResizeKernel {
  /** The radius in pixels. Pixels further away do not count. */
  readonly radius: number;
  readonly weight: (distance: number) => number;
}

const kernels: Readonly<Record<string, ResizeKernel>> = {
  bilinear: { radius: 1, weight: (x) => Math.max(0, 1 - x) },
  bicubic: { radius: 2, weight: (x) => keysCubic(x, numberArithmetic) },
  mitchellcubic: { radius: 2, weight: (x) => mitchellCubic(x, numberArithmetic) },
  gaussian: { radius: 1.5, weight: (x) => (x >= 1.5 ? 0 : Math.exp(-2 * x * x)) },
  lanczos3: { radius: 3, weight: (x) => lanczos(x, 3, numberArithmetic) },
  lanczos5: { radius: 5, weight: (x) => lanczos(x, 5, numberArithmetic) },
};

/** Returns the rows of bilinear interpolation. `center` is the position of the value within a pixel. */
function bilinearRows(from: number, to: number, center: number): Float32Array {
  const scale = float32(from / to);
  return matrix(from, to, (row, x) => {
    const position = float32(float32((x + center) * scale) - center);
    const floor = Math.floor(position);
    const share = float32(position - floor);
    row[clamp(floor, from)]! += 1 - share;
    row[clamp(floor + 1, from)]! += share;
  });
}

/**
 * Returns the rows of bicubic interpolation, with weights from a table of 1024 steps. Pixels beyond the border do not
 * count, and the others are scaled to a sum of 1.
 */
function bicubicRows(from: number, to: number): Float32Array {
  const scale = float32(from / to);
  return matrix(from, to, (row, x) => {
    const position = float32(float32((x + 0.5) * scale) - 0.5);
    const floor = Math.floor(position);
    const share = roundHalfEven(float32(position - floor) * 1024) / 1024;
    const weights = [1 + share, share, 1 - share, 2 - share].map((x) => keysCubic(x, numberArithmetic));
    const inside = weights.map((weight, tap) => (isIn(floor - 1 + tap, from) ? weight : 0));
    const total = inside.reduce((sum, weight) => sum + weight, 0);
    inside.forEach((weight, tap) => {
      row[clamp(floor - 1 + tap, from)]! += weight / total;
    });
  });
}

function areaRows(from: number, to: number): Float32Array {
  const scale = float32(from / to);
  return matrix(from, to, (row, x) => {
    const start = float32(x * scale);
    const end = float32((x + 1) * scale);
    for (let pixel = Math.floor(start); pixel < end; pixel++) {
      const overlap = Math.min(pixel + 1, end) - Math.max(pixel, start);
      row[clamp(pixel, from)]! += overlap / scale;
    }
  });
}

/** Returns the rows of a kernel. With antialiasing, it widens by the reduction. */
function kernelRows(
  { radius, weight }: ResizeKernel,
  antialias: boolean,
  from: number,
  to: number,
): Float32Array {
  const inverseScale = 1 / float32(to / from);
  const stretch = antialias ? Math.max(inverseScale, 1) : 1;
  return matrix(from, to, (row, x) => {
    const center = (x + 0.5) * inverseScale;
    const start = clamp(Math.ceil(center - radius * stretch - 0.5), from);
    const end = clamp(Math.floor(center + radius * stretch - 0.5), from);
    let total = 0;
    for (let pixel = start; pixel <= end; pixel++) {
      row[pixel] = weight(Math.abs(pixel + 0.5 - center) / stretch);
      total += row[pixel]!;
    }
    for (let pixel = start; pixel <= end; pixel++) row[pixel]! /= total;
  });
}

function matrix(from: number, to: number, fill: (row: Float64Array, x: number) => void): Float32Array {
  const values = new Float32Array(to * from);
  for (let x = 0; x < to; x++) {
    const row = new Float64Array(from);
    fill(row, x);
    values.set(row, x * from);
  }
  return values;
}

function clamp(pixel: number, size: number): number {
  return Math.min(Math.max(pixel, 0), size - 1);
}

function isIn(pixel: number, size: number): boolean {
  return pixel >= 0 && pixel < size;
}
