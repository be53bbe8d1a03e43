/** @file Histogram equalization of images (`equalization.py` and `clahe.py`). No gradient flows through the tables. */
import type { JsonObject } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { roundHalfEven } from "../../tensor.ts";
import { numberAt, numbersAt } from "../../topology/config-values.ts";
import { channelsLast } from "../axes.ts";
import type { RandomImage } from "./random-image.ts";
import { bytes, inRange, valueRange } from "./random-image.ts";

/** Equalizes images in training, without randomness. The histogram of a channel is that of the whole batch. */
export const equalization: RandomImage = {
  draw: () => ({}),
  transform: (images, _, config) =>
    inBytes(images, config, (pixels, [, , , channels]) => {
      const bins = numberAt(config, "bins");
      const equalized = new Float32Array(pixels.length);
      for (let channel = 0; channel < channels; channel++) {
        const values = pixels.filter((__, place) => place % channels === channel);
        evenly(values, bins).forEach((value, place) => {
          equalized[place * channels + channel] = value;
        });
      }
      return equalized;
    }),
};

type Sizes = readonly [count: number, high: number, wide: number, channels: number];

/** Applies `compute` to the pixels `[N, H, W, C]`, scaled to the range of eight bits. */
function inBytes(
  images: tf.Tensor,
  config: JsonObject,
  compute: (pixels: Float32Array, sizes: Sizes) => Float32Array,
): tf.Tensor {
  const range = valueRange(config);
  return channelsLast(images, config, (x) => {
    const pixels = inRange(x, range, bytes).dataSync() as Float32Array;
    const changed = compute(pixels, x.shape as unknown as Sizes);
    return inRange(tf.tensor(changed, x.shape), bytes, range);
  });
}

/** Equalizes values. Those of a single bin are unchanged. */
function evenly(values: Float32Array, bins: number): Float32Array {
  const binOf = (scaled: number): number => Math.trunc(clamp(scaled, bins - 1));
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) counts[binOf(Math.fround(Math.fround(value * (bins - 1)) / 255))]!++;
  if (counts.filter((count) => count > 0).length <= 1) return values;
  const sums = runningSums(counts);
  const least = sums.find((sum) => sum > 0)!;
  const reach = values.length - least;
  const table = sums.map((sum) => clamp(roundHalfEven(((sum - least) * 255) / reach), 255));
  return values.map((value) => table[binOf(Math.fround(Math.fround(value / 255) * (bins - 1)))]!);
}

/**
 * Computes ContrastLimitedAdaptiveHistogramEqualization: each tile has its own table, and a pixel is interpolated
 * between those of the four nearest tiles.
 */
export function adaptivelyEqualized(images: tf.Tensor, config: JsonObject): tf.Tensor {
  const [down, across] = numbersAt(config, "tile_grid_size", 2);
  const limit = numberAt(config, "clip_limit");
  return inBytes(images, config, (pixels, [count, high, wide, channels]) => {
    const equalized = new Float32Array(pixels.length);
    const [tall, broad] = [Math.ceil(high / down), Math.ceil(wide / across)];
    for (let plane = 0; plane < count * channels; plane++) {
      const start = Math.floor(plane / channels) * high * wide * channels + (plane % channels);
      const at = (row: number, column: number): number => start + (row * wide + column) * channels;
      const levelAt = (row: number, column: number): number =>
        Math.trunc(clamp(pixels[at(mirrored(row, high), mirrored(column, wide))]!, 255));
      const tables = Array.from({ length: down * across }, (_, tile) => {
        const counts = histogram(
          levelAt,
          Math.floor(tile / across) * tall,
          (tile % across) * broad,
          tall,
          broad,
        );
        return tableOf(limit > 0 ? limited(counts, (limit * tall * broad) / 256) : counts, tall * broad);
      });
      for (let row = 0; row < high; row++) {
        const [upper, lower, below] = between(row, tall, down);
        for (let column = 0; column < wide; column++) {
          const [left, right, beyond] = between(column, broad, across);
          const level = levelAt(row, column);
          const value = (tileRow: number, tileColumn: number): number =>
            tables[tileRow * across + tileColumn]![level]!;
          const above = value(upper, left) * (1 - beyond) + value(upper, right) * beyond;
          const under = value(lower, left) * (1 - beyond) + value(lower, right) * beyond;
          equalized[at(row, column)] = above * (1 - below) + under * below;
        }
      }
    }
    return equalized;
  });
}

/** Counts each of 256 levels in one tile. */
function histogram(
  levelAt: (row: number, column: number) => number,
  top: number,
  left: number,
  tall: number,
  broad: number,
): number[] {
  const counts = new Array<number>(256).fill(0);
  for (let row = top; row < top + tall; row++) {
    for (let column = left; column < left + broad; column++) counts[levelAt(row, column)]!++;
  }
  return counts;
}

/** Limits counts and distributes the excess over all levels. */
function limited(counts: readonly number[], limit: number): number[] {
  const kept = counts.map((count) => Math.min(count, limit));
  const excess = counts.reduce((sum, count, level) => sum + count - kept[level]!, 0);
  return kept.map((count) => count + excess / 256);
}

function tableOf(counts: readonly number[], total: number): readonly number[] {
  const sums = runningSums(counts);
  const least = sums[0]!;
  const reach = total - least === 0 ? 1 : total - least;
  return sums.map((sum) => clamp(((sum - least) * 255) / reach, 255));
}

/** Returns the tiles before and after a pixel's center, and its relative distance from the first to the second. */
function between(pixel: number, size: number, tiles: number): [before: number, after: number, share: number] {
  const place = (pixel - size / 2) / size;
  const before = Math.floor(place);
  return [clamp(before, tiles - 1), clamp(before + 1, tiles - 1), place - before];
}

/** Mirrors a pixel past the end of an axis, which repeats the last pixel. */
function mirrored(pixel: number, size: number): number {
  return pixel < size ? pixel : 2 * size - 1 - pixel;
}

function runningSums(counts: readonly number[]): number[] {
  let sum = 0;
  return counts.map((count) => {
    sum += count;
    return sum;
  });
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most);
}
