/** @file Random layers that move pixels (`keras/src/layers/preprocessing/image_preprocessing/random_*.py`). */
import type { JsonObject } from "../../checkpoint.ts";
import { tf } from "../../engine/tf.ts";
import { numberAt, stringAt } from "../../topology/config-values.ts";
import { channelsLast } from "../axes.ts";
import type { Affine, Point } from "../numerics/affine.ts";
import { affineTransformed, homography } from "../numerics/affine.ts";
import type { RandomImage } from "./random-image.ts";
import { changedWhere, drawChosen, factorIn, readingIn } from "./random-image.ts";

interface Flips {
  readonly [name: string]: readonly boolean[];
  readonly flips: readonly boolean[];
}

/** Flips images. In Keras 3 one draw decides on both directions; before, each direction has its own. */
const flip: RandomImage = {
  draw: ({ shape, draws, keras }) => {
    const drawn = (): readonly boolean[] => draws.uniforms(shape.count, 0, 1).map((value) => value <= 0.5);
    return keras === 3 ? { flips: drawn() } : { flips: drawn(), verticalFlips: drawn() };
  },
  transform: (images, { flips, verticalFlips }: Flips, config) =>
    channelsLast(images, config, (x) => {
      const mode = stringAt(config, "mode");
      const across = mode.includes("horizontal") ? changedWhere(flips, tf.reverse(x, 2), x) : x;
      if (!mode.includes("vertical")) return across;
      return changedWhere(verticalFlips ?? flips, tf.reverse(across, 1), across);
    }),
};

/** Rotates around the center of the image. */
const rotation: RandomImage = {
  draw: ({ shape, config, draws }) => ({
    rotationMatrix: draws
      .uniforms(shape.count, ...factorIn(config, "factor"))
      .map((turns) => rotated(2 * Math.PI * turns, shape.width, shape.height)),
  }),
  transform: (images, { rotationMatrix }: { readonly rotationMatrix: readonly Affine[] }, config) =>
    moved(images, rotationMatrix, config),
};

function rotated(angle: number, width: number, height: number): Affine {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [x, y] = [(width - 1) / 2, (height - 1) / 2];
  return [cos, -sin, x - x * cos + y * sin, sin, cos, y - x * sin - y * cos, 0, 0];
}

interface Zooms {
  readonly [name: string]: readonly number[];
  readonly heightZoom: readonly number[];
  readonly widthZoom: readonly number[];
}

/** Zooms height and width. Without a factor of its own, the width is zoomed like the height. */
const zoom: RandomImage = {
  draw: ({ shape, config, draws }) => {
    const drawn = (name: string): readonly number[] => {
      const [low, high] = factorIn(config, name);
      return draws.uniforms(shape.count, 1 + low, 1 + high);
    };
    const heightZoom = drawn("height_factor");
    return { heightZoom, widthZoom: config["width_factor"] == null ? heightZoom : drawn("width_factor") };
  },
  transform: (images, { heightZoom, widthZoom }: Zooms, config) =>
    channelsLast(images, config, (x) => {
      const [, height, width] = x.shape as [number, number, number];
      const maps = heightZoom.map((down, image): Affine => {
        const across = widthZoom[image]!;
        return [across, 0, ((width - 1) / 2) * (1 - across), 0, down, ((height - 1) / 2) * (1 - down), 0, 0];
      });
      return affineTransformed(x, maps, readingIn(config));
    }),
};

type Pair = readonly [across: number, down: number];

const translation: RandomImage = {
  draw: ({ shape, config, draws }) => ({
    translations: draws
      .uniforms(shape.count, ...factorIn(config, "height_factor"))
      .map((down) => [draws.uniform(...factorIn(config, "width_factor")) * shape.width, down * shape.height]),
  }),
  transform: (images, { translations }: { readonly translations: readonly Pair[] }, config) => {
    const maps = translations.map(([across, down]): Affine => [1, 0, -across, 0, 1, -down, 0, 0]);
    return moved(images, maps, config);
  },
};

/** Shears both axes in the same direction. */
const shear: RandomImage = {
  draw: ({ shape, config, draws }) => ({
    shearFactor: draws.uniforms(shape.count, 0, 1).map((value) => {
      const sign = value > 0.5 ? -1 : 1;
      const down = draws.uniform(...factorIn(config, "y_factor"));
      return [sign * draws.uniform(...factorIn(config, "x_factor")), sign * down];
    }),
  }),
  transform: (images, { shearFactor }: { readonly shearFactor: readonly Pair[] }, config) => {
    const maps = shearFactor.map(([across, down]): Affine => [1, across, 0, down, 1, 0, 0, 0]);
    return moved(images, maps, config);
  },
};

interface Perspectives {
  readonly [name: string]: readonly boolean[] | readonly (readonly Point[])[];
  readonly applyPerspective: readonly boolean[];
  readonly startPoints: readonly (readonly Point[])[];
  readonly endPoints: readonly (readonly Point[])[];
}

/** Moves each corner by a share of its distance from the axes, so that the first one does not move. */
const perspective: RandomImage = {
  draw: (call) => {
    const { shape, config, draws } = call;
    const half = numberAt(config, "scale") / 2;
    const [right, bottom] = [shape.width - 1, shape.height - 1];
    const corners: readonly Point[] = [
      [0, 0],
      [right, 0],
      [0, bottom],
      [right, bottom],
    ];
    const applyPerspective = drawChosen(call);
    const end = (place: number): number => place * (1 + draws.uniform(-half, half));
    return {
      applyPerspective,
      startPoints: applyPerspective.map(() => corners),
      endPoints: applyPerspective.map(() => corners.map(([x, y]) => [end(x), end(y)])),
    };
  },
  transform: (images, { applyPerspective, startPoints, endPoints }: Perspectives, config) => {
    const maps = startPoints.map((start, image) => homography(start, endPoints[image]!));
    const filled = { ...config, fill_mode: "constant" };
    return changedWhere(applyPerspective, moved(images, maps, filled), images);
  },
};

function moved(images: tf.Tensor, maps: readonly Affine[], config: JsonObject): tf.Tensor {
  return channelsLast(images, config, (x) => affineTransformed(x, maps, readingIn(config)));
}

export const geometryLayers: Readonly<
  Record<
    | "RandomFlip"
    | "RandomPerspective"
    | "RandomRotation"
    | "RandomShear"
    | "RandomTranslation"
    | "RandomZoom",
    RandomImage
  >
> = {
  RandomFlip: flip,
  RandomPerspective: perspective,
  RandomRotation: rotation,
  RandomShear: shear,
  RandomTranslation: translation,
  RandomZoom: zoom,
};
