/** Boxes of one image in another (`keras/src/layers/preprocessing/image_preprocessing/cut_mix.py`). */
import { drawsFrom } from "../../layers/random-images/draws.ts";
import { seedOf, shuffled } from "../../random.ts";
import type { ImageShape } from "./transformations.ts";
import type { DrawnView } from "./view.ts";
import { viewStream } from "./view.ts";

/** Settings by which images get a box of another one. */
export interface CutMix {
  /** Alpha of the Beta distribution that the share of the image comes from. */
  readonly alpha: number;
  /** Returns the path of the image that the box comes from. */
  partnerOf(path: string, view: number): string;
}

export interface CutBox {
  /** A pixel lies inside from the first bound up to the second, in pixels. */
  readonly rows: readonly [top: number, bottom: number];
  readonly columns: readonly [left: number, right: number];
  /** The share of the image, and so of its target, that stays. */
  readonly kept: number;
}

/** Returns the box that a view of an image gets from another one. */
export function cutBox(
  view: DrawnView,
  alpha: number,
  [height, width]: readonly [number, number, ...unknown[]],
): CutBox {
  const draws = drawsFrom(viewStream(view, "cutmix").nextSeed());
  const share = Math.sqrt(1 - draws.beta(alpha, alpha));
  const side = (length: number): [number, number] => {
    const start = draws.uniform(0, 1) * (length - share * length);
    return [start, start + share * length];
  };
  const columns = side(width);
  const rows = side(height);
  return { rows, columns, kept: 1 - share * share };
}

/** Returns a copy of an image with the box of another one in it. */
export function withBox(
  image: Float32Array,
  other: Float32Array,
  { rows: [top, bottom], columns: [left, right] }: CutBox,
  [height, width, channels]: ImageShape,
): Float32Array {
  const mixed = Float32Array.from(image);
  const [from, to] = [Math.ceil(left) * channels, Math.min(Math.ceil(right), width) * channels];
  for (let row = Math.ceil(top); row < Math.min(bottom, height); row++) {
    const start = row * width * channels;
    mixed.set(other.subarray(start + from, start + to), start + from);
  }
  return mixed;
}

/** Returns for each of `paths` the one whose box it gets in an epoch's view: a permutation, the same on every machine. */
export function cutPartners(
  paths: readonly string[],
  { seed, view }: { readonly seed: number; readonly view: number },
): ReadonlyMap<string, string> {
  const draws = drawsFrom(seedOf(`cutmix ${seed} ${view}`));
  const order = shuffled(paths.length, (bound) => draws.integer(0, bound));
  return new Map(paths.map((path, index) => [path, paths[order[index] ?? index] ?? path]));
}
