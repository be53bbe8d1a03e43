/** @file Random layers that mix images or replace a box in them (`cut_mix.py`, `mix_up.py`, `random_erasing.py`). */

import { chosen } from "../../engine/operations.ts";
import { tf } from "../../engine/tf.ts";
import { numberAt, numberList } from "../../topology/config-values.ts";
import { channelsLast } from "../axes.ts";
import type { DrawCall, RandomImage } from "./random-image.ts";
import { changedWhere, clipped, drawChosen, factorIn, perImage, valueRange } from "./random-image.ts";

/** A box in pixels. A pixel is inside from the first bound up to, but not including, the second. */
type Box = readonly [left: number, right: number, top: number, bottom: number];

interface CutMix {
  readonly [name: string]: readonly number[] | readonly Box[];
  readonly permutationOrder: readonly number[];
  readonly boxes: readonly Box[];
}

/**
 * Replaces a box in each image by that of another image of the batch. Labels are not part of a model and are not mixed.
 */
const cutMix: RandomImage = {
  draw: (call) => {
    const { shape, config, draws } = call;
    const alpha = draws.uniform(...factorIn(config, "factor", 0)) + 1e-6;
    const boxes = Array.from({ length: shape.count }, () => {
      const share = Math.sqrt(1 - draws.beta(alpha, alpha));
      return drawBox(call, share, share);
    });
    return { boxes, permutationOrder: draws.order(shape.count) };
  },
  transform: (images, { permutationOrder, boxes }: CutMix, config) =>
    channelsLast(images, config, (x) => chosen(insideBoxes(boxes, x), reordered(x, permutationOrder), x)),
};

interface MixUp {
  readonly [name: string]: readonly number[];
  readonly permutationOrder: readonly number[];
  readonly mixWeight: readonly number[];
}

const mixUp: RandomImage = {
  draw: ({ shape, config, draws }) => {
    const alpha = numberAt(config, "alpha");
    const mixWeight = Array.from({ length: shape.count }, () => draws.beta(alpha, alpha));
    return { mixWeight, permutationOrder: draws.order(shape.count) };
  },
  transform: (images, { permutationOrder, mixWeight }: MixUp) => {
    const weight = perImage(mixWeight);
    const others = reordered(images, permutationOrder);
    return tf.add(tf.mul(weight, images), tf.mul(tf.sub(1, weight), others));
  },
};

interface Erasing {
  readonly [name: string]: readonly boolean[] | readonly Box[] | tf.Tensor | null;
  readonly applyErasing: readonly boolean[];
  readonly boxes: readonly Box[];
  /** Normal numbers of the images' shape; null if the config has a value. */
  readonly noise: tf.Tensor | null;
}

const erasing: RandomImage = {
  draw: (call) => {
    const { shape, config, draws } = call;
    const share = (): number => Math.sqrt(draws.uniform(...factorIn(config, "scale", 0)));
    const { count, height, width, channels } = shape;
    return {
      boxes: Array.from({ length: count }, () => drawBox(call, share(), share())),
      applyErasing: drawChosen(call),
      noise: config["fill_value"] == null ? draws.normal([count, height, width, channels]) : null,
    };
  },
  transform: (images, { applyErasing, boxes, noise }: Erasing, config) =>
    channelsLast(images, config, (x) => {
      const filling = noise
        ? tf.mul(noise, valueRange(config)[1])
        : tf.add(tf.zerosLike(x), tf.tensor1d([...numberList(config["fill_value"])]));
      return changedWhere(applyErasing, chosen(insideBoxes(boxes, x), clipped(filling, config), x), x);
    }),
};

function drawBox({ shape, draws }: DrawCall, acrossShare: number, downShare: number): Box {
  const [wide, high] = [acrossShare * shape.width, downShare * shape.height];
  const left = draws.uniform(0, 1) * (shape.width - wide);
  const top = draws.uniform(0, 1) * (shape.height - high);
  return [left, left + wide, top, top + high];
}

/** Returns a mask of the pixels inside, `[N, H, W, 1]`. */
function insideBoxes(boxes: readonly Box[], images: tf.Tensor): tf.Tensor {
  const [count, high, wide] = images.shape as [number, number, number, number];
  const inside = new Uint8Array(count * high * wide);
  boxes.forEach(([left, right, top, bottom], image) => {
    for (let row = Math.ceil(top); row < Math.min(bottom, high); row++) {
      for (let column = Math.ceil(left); column < Math.min(right, wide); column++) {
        inside[(image * high + row) * wide + column] = 1;
      }
    }
  });
  return tf.tensor4d(inside, [count, high, wide, 1], "bool");
}

function reordered(images: tf.Tensor, order: readonly number[]): tf.Tensor {
  return tf.gather(images, tf.tensor1d([...order], "int32"));
}

export const boxLayers: Readonly<Record<"CutMix" | "MixUp" | "RandomErasing", RandomImage>> = {
  CutMix: cutMix,
  MixUp: mixUp,
  RandomErasing: erasing,
};
