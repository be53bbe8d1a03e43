import { beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import { drawsFrom } from "../../../src/layers/random-images/draws.ts";
import { randomImageLayers } from "../../../src/layers/random-images/kernels.ts";
import type { Transformation } from "../../../src/layers/random-images/random-image.ts";
import { kernelOf } from "../../../src/layers/registry.ts";
import { modernConfig } from "../../../src/topology/dialects/layer-config.ts";
import type { KerasMajor } from "../../../src/topology/layer-graph.ts";
import { upload } from "../layer-cases.ts";
import { transformationCases } from "./transformation-cases.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

function drawn(
  className: string,
  config: JsonObject,
  { seed = 1, count = 2000, keras = 3 as KerasMajor } = {},
): Transformation {
  return randomImageLayers[className]!.draw({
    shape: { count, height: 8, width: 6, channels: 3 },
    config: modernConfig(className, config, keras),
    draws: drawsFrom(seed),
    keras,
  });
}

/** The least, the mean and the greatest of numbers that were drawn. */
function summary(values: unknown): { least: number; mean: number; greatest: number } {
  const numbers = (values as readonly (number | boolean | readonly number[])[]).flat().map(Number);
  return {
    least: Math.min(...numbers),
    mean: numbers.reduce((sum, value) => sum + value, 0) / numbers.length,
    greatest: Math.max(...numbers),
  };
}

describe("random numbers from a seed", () => {
  const active = transformationCases().filter(
    ({ name, className }) =>
      className !== "Equalization" &&
      !/of (none|nothing|one channel)|to the nearest|as (many|tall)|Crop larger/.test(name),
  );

  test.each(active)(
    "$name draws the same numbers from the same seed and others from another seed",
    ({ className, config, input }) => {
      const run = (seed: number, training: boolean): tf.Tensor =>
        kernelOf(className)!({
          inputs: [upload(input)],
          weights: {},
          config,
          args: [],
          kwargs: {},
          masks: [undefined],
          context: { training, statistics: "stored", random: { nextSeed: () => seed }, keras: 3 },
        }) as tf.Tensor;
      tf.tidy(() => {
        const seeds = [11, 12, 13, 14, 15, 16];
        const [first, ...others] = seeds.map((seed) => [...run(seed, true).dataSync()]);
        expect([...run(11, true).dataSync()]).toEqual(first);
        expect(others.some((other) => other.some((value, index) => value !== first![index]))).toBe(true);
        expect([...run(11, false).dataSync()]).toEqual([...upload(input).dataSync()]);
      });
    },
  );

  test("draws of a beta distribution have its mean and variance, even for tiny parameters", () => {
    for (const [alpha, beta] of [
      [0.2, 0.2],
      [3, 3],
      [2, 6],
      [1e-6, 1e-6],
    ] as const) {
      const draws = drawsFrom(5);
      const values = Array.from({ length: 4000 }, () => draws.beta(alpha, beta));
      const { mean } = summary(values);
      const variance = summary(values.map((value) => (value - mean) ** 2)).mean;
      const sum = alpha + beta;
      expect(mean).toBeCloseTo(alpha / sum, 1);
      expect(variance).toBeCloseTo((alpha * beta) / (sum * sum * (sum + 1)), 1);
    }
  });

  test("draws of a Dirichlet distribution add up to 1, and a drawn order has each place once", () => {
    const draws = drawsFrom(5);
    const shares = draws.dirichlet(4, 0.3);
    expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 10);
    expect([...draws.order(50)].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, place) => place),
    );
    expect(draws.order(50)).not.toEqual(draws.order(50));
  });
});

describe("the numbers that are drawn lie in Keras's range and fill it", () => {
  const half = { factor: [0.2, 0.6] };
  test.each([
    ["RandomBrightness", { factor: [-0.2, 0.6] }, "rgbDelta", -51, 153],
    ["RandomContrast", half, "contrastFactor", 0.8, 1.6],
    ["RandomColorDegeneration", half, "factor", 0.2, 0.6],
    ["RandomHue", { factor: [0, 0.6] }, "factor", -0.3, 0.3],
    ["RandomSaturation", { factor: [0, 0.5] }, "factor", 0, 1],
    ["RandomSharpness", half, "factor", 0.2, 0.6],
    ["RandomPosterization", { factor: [2, 6] }, "shiftFactor", 3, 6],
    ["Solarization", { addition_factor: [0.1, 0.5], threshold_factor: [0, 1] }, "additions", 0.1, 127.5],
    ["Solarization", { addition_factor: [0.1, 0.5], threshold_factor: [0, 1] }, "thresholds", 0, 255],
    ["RandomShear", { x_factor: [0, 0.4], y_factor: [0, 0.4] }, "shearFactor", -0.4, 0.4],
    ["RandomTranslation", { height_factor: [0, 0.5], width_factor: [-0.5, 0.5] }, "translations", -3, 4],
    ["RandomZoom", { height_factor: [-0.3, 0.2] }, "heightZoom", 0.7, 1.2],
    ["MixUp", { alpha: 0.2 }, "mixWeight", 0, 1],
  ])("%s %o draws %s over its whole range", (className, config, name, low, high) => {
    const { least, greatest } = summary(drawn(className, config)[name]);
    const room = (high - low) * 0.03;
    expect(least).toBeGreaterThanOrEqual(low);
    expect(least).toBeLessThanOrEqual(low + room);
    expect(greatest).toBeLessThanOrEqual(high);
    expect(greatest).toBeGreaterThanOrEqual(high - room);
  });

  test.each([
    ["RandomGrayscale", { factor: 0.3 }, "applied", 0.3],
    ["RandomInvert", { factor: [0, 0.6] }, "applyInversion", 0.3],
    ["RandomPerspective", { factor: [0.5, 0.9] }, "applyPerspective", 0.7],
    ["RandomErasing", { factor: [0, 1], fill_value: 0 }, "applyErasing", 0.5],
    ["RandomGaussianBlur", { factor: [1, 1] }, "shouldApplyBlur", 1],
    ["RandomFlip", { mode: "horizontal" }, "flips", 0.5],
  ])("%s %o changes its share of the images: %s", (className, config, name, share) => {
    expect(summary(drawn(className, config)[name]).mean).toBeCloseTo(share, 1);
  });

  test("the boxes of RandomErasing and CutMix lie in the image", () => {
    const large = drawn("RandomErasing", { scale: [0.25, 0.49], fill_value: 0 })["boxes"] as number[][];
    for (const [left, right, top, bottom] of large as [number, number, number, number][]) {
      expect(left).toBeGreaterThanOrEqual(0);
      expect(top).toBeGreaterThanOrEqual(0);
      expect(right).toBeLessThanOrEqual(6);
      expect(bottom).toBeLessThanOrEqual(8);
      expect((right - left) / 6).toBeGreaterThanOrEqual(0.4999);
      expect((bottom - top) / 8).toBeLessThanOrEqual(0.7001);
    }
    const cut = drawn("CutMix", {})["boxes"] as unknown as [number, number, number, number][];
    const areas = cut.map(([left, right, top, bottom]) => ((right - left) * (bottom - top)) / 48);
    expect(summary(areas).mean).toBeCloseTo(0.5, 1);
  });

  test("RandomCrop starts at every place, including the last one", () => {
    const starts = Array.from({ length: 300 }, (_, seed) =>
      drawn("RandomCrop", { height: 6, width: 4 }, { seed, count: 1 }),
    );
    for (const name of ["hStart", "wStart"]) {
      expect(new Set(starts.map((start) => start[name]))).toEqual(new Set([0, 1, 2]));
    }
  });

  test("the corners of RandomPerspective move by at most half of the scale, and the first corner does not move", () => {
    const { endPoints } = drawn("RandomPerspective", { scale: 0.4 });
    const ends = endPoints as unknown as [number, number][][];
    for (const [first, second] of ends) {
      expect(first).toEqual([0, 0]);
      expect(Math.abs(second![0] - 5)).toBeLessThanOrEqual(1);
      expect(second![1]).toBe(0);
    }
  });

  test("RandAugment picks each of its eleven layers, and AugMix picks each layer and sometimes none", () => {
    const picked = Array.from({ length: 200 }, (_, seed) => drawn("RandAugment", {}, { seed, count: 1 }));
    expect(new Set(picked.flatMap(({ layerIdxes }) => layerIdxes as number[])).size).toBe(11);
    const mixed = Array.from({ length: 100 }, (_, seed) => drawn("AugMix", {}, { seed, count: 1 }));
    const chains = mixed.flatMap(({ chainTransforms }) => chainTransforms as unknown as Transformation[][]);
    expect(new Set(chains.flat().map(({ layerName }) => layerName)).size).toBe(11);
    expect(chains.some((chain) => chain.length < 3)).toBe(true);
  });

  test("before Keras 3, RandomContrast draws one factor for a batch, and a single number is a range in both directions", () => {
    const factors = Array.from(
      { length: 300 },
      (_, seed) =>
        drawn("RandomContrast", { factor: 0.4 }, { seed, count: 2, keras: 2 })["contrastFactor"] as number[],
    );
    for (const [first, second] of factors) expect(first).toBe(second);
    const { least, greatest } = summary(factors);
    expect(least).toBeLessThan(0.65);
    expect(greatest).toBeGreaterThan(1.35);
  });

  test.each([
    ["RandomHeight", 1],
    ["RandomWidth", 2],
  ])("%s of Keras 2 resizes one side of all images", (className, axis) => {
    tf.tidy(() => {
      const sizes = Array.from({ length: 30 }, (_, seed) => {
        const made = kernelOf(className)!({
          inputs: [tf.ones([2, 20, 20, 3])],
          weights: {},
          config: modernConfig(className, { factor: [-0.5, 0.5] }, 2),
          args: [],
          kwargs: {},
          masks: [undefined],
          context: { training: true, statistics: "stored", random: { nextSeed: () => seed }, keras: 2 },
        }) as tf.Tensor;
        expect(made.shape[3 - axis]).toBe(20);
        return made.shape[axis]!;
      });
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(10);
      expect(Math.max(...sizes)).toBeLessThan(30);
      expect(new Set(sizes).size).toBeGreaterThan(8);
    });
  });
});
