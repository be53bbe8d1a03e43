import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import { augmentationRecipe, recipeLayers } from "../../../src/features/views/recipe.ts";
import type { ImageShape } from "../../../src/features/views/transformations.ts";
import { viewStream } from "../../../src/features/views/view.ts";
import { viewPixels, viewPositions } from "../../../src/features/views/view-pixels.ts";
import { elementCount } from "../../../src/tensor.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const image: ImageShape = [24, 24, 1];
const stream = (view: number) => viewStream({ contentHash: "ab", view, seed: 0 }, "image");

/** A bright square on the dark, whose mask is itself. */
function square([height, width]: ImageShape, side: number): Float32Array {
  const values = new Float32Array(height * width);
  for (let row = 4; row < 4 + side; row++) {
    for (let column = 6; column < 6 + side; column++) values[row * width + column] = 255;
  }
  return values;
}

describe("targets of positions move with the pixels", () => {
  test.each([
    "flip=both",
    "rotate=40",
    "zoom=0.3",
    "translate=0.2",
    "shear=0.3",
    "crop=0.7",
    "perspective",
    "elastic",
  ])("under %s, whatever else changes values alone", async (name) => {
    const layers = recipeLayers(augmentationRecipe(`brightness=0.1,${name},contrast=0.1`), image);
    for (const view of [1, 2, 3]) {
      const pixels = await viewPixels(layers, square(image, 12), image, stream(view));
      const mask = square(image, 12).map((value) => (value > 0 ? 3 : 0));
      const moved = await viewPositions(layers, mask, image, { image, random: stream(view) });
      expect([...new Set(moved)].every((value) => value === 0 || value === 3)).toBe(true);
      const bright = [...pixels].map((value) => value > 127);
      const differing = bright.filter((isBright, at) => isBright !== (moved[at] === 3)).length;
      // Where pixels are averages of neighbors, half a position may fall to either side.
      expect(differing / bright.filter(Boolean).length).toBeLessThan(0.12);
      expect([...moved].filter((value) => value === 3).length).toBeGreaterThan(40);
    }
  });

  test("keep every value of one-hot targets together", async () => {
    const shape: ImageShape = [24, 24, 2];
    const mask = square(image, 12);
    const oneHot = Float32Array.from({ length: elementCount(shape) }, (_, at) =>
      (mask[Math.floor(at / 2)]! > 0 ? 1 : 0) === at % 2 ? 1 : 0,
    );
    const layers = recipeLayers(augmentationRecipe("rotate=30,zoom"), image);
    const moved = await viewPositions(layers, oneHot, shape, { image, random: stream(1) });
    for (let at = 0; at < moved.length; at += 2) expect(moved[at]! + moved[at + 1]!).toBe(1);
  });

  test("move at another size than the image's", async () => {
    const small: ImageShape = [12, 12, 1];
    const layers = recipeLayers(augmentationRecipe("flip,crop=0.75,rotate=20"), image);
    const pixels = await viewPixels(layers, square(image, 12), image, stream(2));
    const mask = new Float32Array(144);
    for (let row = 2; row < 8; row++) mask.fill(1, row * 12 + 3, row * 12 + 9);
    const before = tf.memory().numTensors;
    const moved = await viewPositions(layers, mask, small, { image, random: stream(2) });
    expect(tf.memory().numTensors).toBe(before);
    const differing = [...moved].filter((value, at) => {
      const [row, column] = [Math.floor(at / 12), at % 12];
      return pixels[2 * row * 24 + 2 * column]! > 127 !== (value === 1);
    });
    expect(differing.length / moved.filter((value) => value === 1).length).toBeLessThan(0.35);
  });
});
