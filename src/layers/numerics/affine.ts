/**
 * @file Images of which every position reads another one (`ImageProjectiveTransformV3` of TensorFlow,
 * `keras/src/ops/image.py`).
 */
import { tf } from "../../engine/tf.ts";
import { eliminated } from "./elimination.ts";

/**
 * A map from output positions `(x, y)` to input positions `(a x + b y + c, d x + e y + f)`, both divided by `g x + h y
 * + 1`, which is 1 except in a perspective.
 */
export type Affine = readonly [
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
  g: number,
  h: number,
];

/** The way in which positions between pixels and outside the image are read. */
export interface Reading {
  readonly interpolation: "nearest" | "bilinear";
  readonly fillMode: "constant" | "nearest" | "reflect" | "wrap";
  readonly fillValue: number;
}

/**
 * Names a pixel, perhaps outside the image, that the current output pixel reads, and its share in the result. `place`
 * counts the pixels that an output pixel reads from 0.
 */
export type ReadPixel = (place: number, left: number, top: number, share: number) => void;

/**
 * Transforms each of the images `[N, H, W, C]` by its own map. The result is a sum of gathered pixels, so that it has a
 * gradient. TensorFlow's own gradient is another one: the image moved back.
 */
export function affineTransformed(x: tf.Tensor, maps: readonly Affine[], reading: Reading): tf.Tensor {
  const [, high, wide] = x.shape as [number, number, number, number];
  return gathered(x, readCount(reading), reading.fillValue, (image, row, column, read) => {
    const [a, b, c, d, e, f, g, h] = maps[image]!;
    const depth = combined(g, h, 1, column, row);
    if (depth === 0) {
      read(0, -1, -1, 1);
      return;
    }
    const across = mapped(float32(combined(a, b, c, column, row) / depth), wide, reading.fillMode);
    const down = mapped(float32(combined(d, e, f, column, row) / depth), high, reading.fillMode);
    if (reading.interpolation === "bilinear") readAround(across, down, read);
    else read(0, rounded(across), rounded(down), 1);
  });
}

const float32 = Math.fround;

/**
 * Computes `across x + down y + offset` rounded as in TensorFlow: at a border, the last bit decides from which side a
 * pixel is read.
 */
function combined(across: number, down: number, offset: number, x: number, y: number): number {
  return float32(float32(float32(across * x) + float32(down * y)) + offset);
}

/** Returns the number of pixels that one reads. */
export function readCount({ interpolation }: Reading): number {
  return interpolation === "nearest" ? 1 : 4;
}

/**
 * Returns images in which each pixel of `[N, H, W, C]` is the weighted sum of `count` others of its image, which
 * `readsOf` names by calling `read`. A pixel outside counts as `fillValue`.
 */
export function gathered(
  x: tf.Tensor,
  count: number,
  fillValue: number,
  readsOf: (image: number, row: number, column: number, read: ReadPixel) => void,
): tf.Tensor {
  const [batch, high, wide, channels] = x.shape as [number, number, number, number];
  const area = high * wide;
  const places = Array.from({ length: count }, () => new Int32Array(batch * area));
  const shares = Array.from({ length: count }, () => new Float32Array(batch * area));
  const filled = new Float32Array(batch * area);
  let pixel = 0;
  let start = 0;
  const read: ReadPixel = (place, left, top, share) => {
    if (left >= 0 && left < wide && top >= 0 && top < high) {
      places[place]![pixel] = start + top * wide + left;
      shares[place]![pixel] = share;
    } else filled[pixel]! += share * fillValue;
  };
  for (let image = 0; image < batch; image++) {
    start = image * area;
    for (let row = 0; row < high; row++) {
      for (let column = 0; column < wide; column++) {
        readsOf(image, row, column, read);
        pixel++;
      }
    }
  }
  const pixels = tf.reshape(x, [batch * area, channels]);
  const sum = places.reduce(
    (total, own, index) => {
      const values = tf.gather(pixels, tf.tensor1d(own, "int32"));
      return tf.add(total, tf.mul(values, tf.tensor2d(shares[index]!, [batch * area, 1])));
    },
    tf.tensor2d(filled, [batch * area, 1]) as tf.Tensor,
  );
  return tf.reshape(sum, x.shape);
}

/** Reads the four pixels around a position. */
export function readAround(across: number, down: number, read: ReadPixel): void {
  const left = Math.floor(across);
  const top = Math.floor(down);
  const right = across - left;
  const lower = down - top;
  read(0, left, top, (1 - right) * (1 - lower));
  read(1, left + 1, top, right * (1 - lower));
  read(2, left, top + 1, (1 - right) * lower);
  read(3, left + 1, top + 1, right * lower);
}

/** Rounds halves away from zero. */
function rounded(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}

/** Maps a position outside an axis to one inside. It is unchanged if outside positions are filled. */
function mapped(position: number, size: number, mode: Reading["fillMode"]): number {
  if (mode === "constant") return position;
  const last = size - 1;
  if (position >= 0 && position <= last) return position;
  if (mode === "nearest") return clamped(position, last);
  if (size <= 1) return 0;
  if (mode === "wrap") {
    const turns = Math.trunc(position / last);
    return clamped(position < 0 ? position + size * (1 - turns) : position - size * turns, last);
  }
  return clamped(reflected(position, size), last);
}

function clamped(value: number, last: number): number {
  return Math.min(Math.max(value, 0), last);
}

/** Reflects a position at the borders, which are repeated. */
function reflected(position: number, size: number): number {
  const period = 2 * size;
  if (position < 0) {
    const near = position < period ? position + period * Math.trunc(-position / period) : position;
    return near < -size ? near + period : -near - 1;
  }
  const near = position - period * Math.trunc(position / period);
  return near >= size ? period - near - 1 : near;
}

export type Point = readonly [x: number, y: number];

/**
 * Returns the perspective that maps each of four `ends` to its start (`keras/src/backend/tensorflow/image.py`,
 * compute_homography_matrix).
 */
export function homography(starts: readonly Point[], ends: readonly Point[]): Affine {
  const targets = starts.flat();
  const rows = ends.flatMap(([x, y], corner) => {
    const [u, v] = starts[corner]!;
    return [
      [x, y, 1, 0, 0, 0, -u * x, -u * y],
      [0, 0, 0, x, y, 1, -v * x, -v * y],
    ];
  });
  const { inverse } = eliminated(Float64Array.from(rows.flat()), 8);
  const solution = Array.from({ length: 8 }, (_, row) =>
    targets.reduce((sum, target, column) => sum + inverse[row * 8 + column]! * target, 0),
  );
  return solution as unknown as Affine;
}

/** Returns the inverse map. */
export function inverted(map: Affine): Affine {
  const { inverse } = eliminated(Float64Array.from([...map, 1]), 3);
  return Array.from(inverse.slice(0, 8), (value) => value / inverse[8]!) as unknown as Affine;
}
