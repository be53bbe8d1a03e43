import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { augmentationRecipe, recipeLayers } from "../../src/features/views/recipe.ts";
import type { ImageShape } from "../../src/features/views/transformations.ts";
import { viewStream } from "../../src/features/views/view.ts";
import { viewPixels } from "../../src/features/views/view-pixels.ts";
import { viewTargets } from "../../src/run/view-targets.ts";
import { float32Tensor } from "../../src/tensor.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const image: ImageShape = [8, 8, 1];
const hashes = ["aa", "bb", "cc"];
const mask = Float32Array.from({ length: 64 }, (_, at) => (at % 8 < 3 && at < 32 ? 1 : 0));
const masks = float32Tensor(Float32Array.from([...mask, ...mask, ...mask]), [3, 8, 8]);
const scores = float32Tensor(Float32Array.of(1, 2, 3), [3, 1]);
const settings = (recipe: string) => ({ layers: recipeLayers(augmentationRecipe(recipe), image), seed: 5 });

describe("targets of a view", () => {
  test("are the masks as each sample's own pixels were flipped, and other targets as they are", async () => {
    const targetsOf = viewTargets(settings("flip,contrast"), image, true);
    const weighted = { targets: masks, weights: masks };
    const moved = await targetsOf?.([weighted, { targets: scores }, null], 1, hashes);
    expect(moved?.[1]).toEqual({ targets: scores });
    expect(moved?.[2]).toBeNull();
    const { layers, seed } = settings("flip");
    for (const [row, contentHash] of hashes.entries()) {
      const random = viewStream({ contentHash, view: 1, seed }, "image");
      const pixels = await viewPixels(layers, mask, image, random);
      const own = moved?.[0];
      for (const tensor of [own?.targets, own?.weights]) {
        expect(tensor?.data.slice(row * 64, (row + 1) * 64)).toEqual(pixels);
      }
    }
  });

  test("differ from view to view, and are the targets themselves in view 0", async () => {
    const targetsOf = viewTargets(settings("rotate=90"), image, true);
    const given = [{ targets: masks }];
    expect(await targetsOf?.(given, 0, hashes)).toBe(given);
    const views = await Promise.all([1, 2].map((view) => targetsOf?.(given, view, hashes)));
    expect(views[0]).not.toEqual(views[1]);
    expect(await targetsOf?.(given, 1, hashes)).toEqual(views[0]);
  });

  test("stay where nothing moves pixels, or no target has positions", () => {
    expect(viewTargets(settings("brightness,noise"), image, true)).toBeNull();
    expect(viewTargets(settings("flip"), image, false)).toBeNull();
  });
});
