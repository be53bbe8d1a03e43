/** Images whose every position reads another one (`ImageProjectiveTransformV3` of TensorFlow, `keras/src/ops/image.py`). */
import type { JsonObject } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { numberAt, stringAt } from "../../topology/config-values.ts";

/**
 * Of an output position `(x, y)` the input's `(a x + b y + c, d x + e y + f)`, both divided by `g x + h y + 1`, which is 1
 * but in a perspective.
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

/** How positions between pixels and outside the image are read. */
export interface Reading {
  readonly interpolation: "nearest" | "bilinear";
  readonly fillMode: "constant" | "nearest" | "reflect" | "wrap";
  readonly fillValue: number;
}

export function readingIn(config: JsonObject): Reading {
  return {
    interpolation: stringAt(config, "interpolation"),
    fillMode: stringAt(config, "fill_mode"),
    fillValue: numberAt(config, "fill_value"),
  } as Reading;
}

/** A pixel that another one reads, perhaps outside the image, and its share in what is read. */
export interface Corner {
  readonly left: number;
  readonly top: number;
  readonly share: number;
}

/**
 * Each of the images `[N, H, W, C]` by its own map. A sum of pixels that are gathered, so that it has a gradient: TensorFlow's own is
 * another, the image moved back.
 */
export function affineTransformed(x: tf.Tensor, maps: readonly Affine[], reading: Reading): tf.Tensor {
  const [, high, wide] = x.shape as [number, number, number, number];
  return gathered(x, cornerCount(reading), reading.fillValue, (image, row, column) => {
    const [a, b, c, d, e, f, g, h] = maps[image]!;
    const depth = combined(g, h, 1, column, row);
    if (depth === 0) return [{ left: -1, top: -1, share: 1 }];
    const across = mapped(float32(combined(a, b, c, column, row) / depth), wide, reading.fillMode);
    const down = mapped(float32(combined(d, e, f, column, row) / depth), high, reading.fillMode);
    if (reading.interpolation === "bilinear") return cornersAround(across, down);
    return [{ left: rounded(across), top: rounded(down), share: 1 }];
  });
}

const float32 = Math.fround;

/** `across x + down y + offset` as TensorFlow rounds it: at a border the last bit says from which side a pixel is read. */
function combined(across: number, down: number, offset: number, x: number, y: number): number {
  return float32(float32(float32(across * x) + float32(down * y)) + offset);
}

/** How many pixels one reads. */
export function cornerCount({ interpolation }: Reading): number {
  return interpolation === "nearest" ? 1 : 4;
}

/** Each pixel of `[N, H, W, C]` as the sum of `count` others of its image; one outside counts as `fillValue`. */
export function gathered(
  x: tf.Tensor,
  count: number,
  fillValue: number,
  cornersOf: (image: number, row: number, column: number) => readonly Corner[],
): tf.Tensor {
  const [batch, high, wide, channels] = x.shape as [number, number, number, number];
  const area = high * wide;
  const places = Array.from({ length: count }, () => new Int32Array(batch * area));
  const shares = Array.from({ length: count }, () => new Float32Array(batch * area));
  const filled = new Float32Array(batch * area);
  for (let pixel = 0; pixel < batch * area; pixel++) {
    const image = Math.floor(pixel / area);
    const row = Math.floor((pixel % area) / wide);
    cornersOf(image, row, pixel % wide).forEach(({ left, top, share }, corner) => {
      const inside = left >= 0 && left < wide && top >= 0 && top < high;
      places[corner]![pixel] = inside ? image * area + top * wide + left : 0;
      shares[corner]![pixel] = inside ? share : 0;
      if (!inside) filled[pixel]! += share * fillValue;
    });
  }
  const pixels = tf.reshape(x, [batch * area, channels]);
  const sum = places.reduce(
    (total, corner, index) => {
      const read = tf.gather(pixels, tf.tensor1d(corner, "int32"));
      return tf.add(total, tf.mul(read, tf.tensor2d(shares[index]!, [batch * area, 1])));
    },
    tf.tensor2d(filled, [batch * area, 1]) as tf.Tensor,
  );
  return tf.reshape(sum, x.shape);
}

/** The four pixels around a position. */
export function cornersAround(across: number, down: number): readonly Corner[] {
  const left = Math.floor(across);
  const top = Math.floor(down);
  const [right, lower] = [across - left, down - top];
  return [
    { left, top, share: (1 - right) * (1 - lower) },
    { left: left + 1, top, share: right * (1 - lower) },
    { left, top: top + 1, share: (1 - right) * lower },
    { left: left + 1, top: top + 1, share: right * lower },
  ];
}

/** Halves away from zero. */
function rounded(value: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
}

/** A position outside an axis as one inside, or as it is where what is outside is filled. */
function mapped(position: number, size: number, mode: Reading["fillMode"]): number {
  if (mode === "constant") return position;
  const last = size - 1;
  const within = (value: number): number => Math.min(Math.max(value, 0), last);
  if (mode === "nearest" || (position >= 0 && position <= last)) return within(position);
  if (size <= 1) return 0;
  if (mode === "wrap") {
    const turns = Math.trunc(position / last);
    return within(position < 0 ? position + size * (1 - turns) : position - size * turns);
  }
  return within(reflected(position, size));
}

/** Mirrored with the border. */
function reflected(position: number, size: number): number {
  const period = 2 * size;
  if (position < 0) {
    const near = position < period ? position + period * Math.trunc(-position / period) : position;
    return near < -size ? near + period : -near - 1;
  }
  const near = position - period * Math.trunc(position / period);
  return near >= size ? period - near - 1 : near;
}
