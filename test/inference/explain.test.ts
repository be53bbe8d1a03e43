import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import type { Tensor } from "../../src/index.ts";
import { explain, explainFiles, loadImages, readCheckpoint } from "../../src/index.ts";
import { float32Tensor } from "../../src/tensor.ts";

const photos = ["brick/brick-30.jpg", "grass/grass-31.jpg", "gravel/gravel-32.jpg"].map(
  (name) => `fixtures/demo/photos/val/${name}`,
);
let checkpoint: Checkpoint;
let images: Tensor;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
  checkpoint = await readCheckpoint("fixtures/cli/small_resnet.keras");
  images = await loadImages(photos, { imageSize: [32, 32], preprocess: "caffe" });
});

describe("explain", () => {
  test("gives a map from 0 to 1 of the last block for each sample, the same in any batch, and keeps nothing", async () => {
    const held = tf.memory().numTensors;
    const whole = await explain(checkpoint, images);
    const single = await explain(checkpoint, images, { batchSize: 1 });
    expect(tf.memory().numTensors).toBe(held);
    expect([whole.layer, whole.heatmaps.shape[0], whole.heatmaps.shape.length]).toEqual([
      "conv3_block1_out",
      3,
      3,
    ]);
    expect(single.targets).toEqual(whole.targets);
    const [, height = 0, width = 0] = whole.heatmaps.shape;
    for (let row = 0; row < 3; row++) {
      const map = whole.heatmaps.data.subarray(row * height * width, (row + 1) * height * width);
      const values = Array.from(map as Float32Array);
      expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
      expect([0, 1]).toContain(Math.max(...values));
    }
    whole.heatmaps.data.forEach((value: number | bigint, index: number) => {
      expect(Math.abs(Number(value) - Number(single.heatmaps.data[index]))).toBeLessThan(1e-5);
    });
  });

  test("explains another class and another layer where they are named", async () => {
    const { layer, targets, heatmaps } = await explain(checkpoint, images, {
      layer: "conv2_block1_out",
      target: [0, 1, 2],
    });
    expect([layer, targets]).toEqual(["conv2_block1_out", [0, 1, 2]]);
    const deeper = await explain(checkpoint, images);
    expect(heatmaps.data.length).toBeGreaterThan(deeper.heatmaps.data.length);
  });

  test("files are prepared as the model's notes or family say", async () => {
    const { heatmaps, targets } = await explain(checkpoint, images);
    const found = [];
    for await (const one of explainFiles(checkpoint, photos)) found.push(one);
    expect(found.map(({ path, index }) => [path, index])).toEqual(
      photos.map((path, row) => [path, targets[row]]),
    );
    const data = found.flatMap(({ heatmap }) => Array.from(heatmap.data));
    expect(data).toHaveLength(heatmaps.data.length);
    for (const [index, value] of data.entries()) {
      expect(Math.abs(value - Number(heatmaps.data[index]))).toBeLessThan(1e-5);
    }
    expect(await found[0]?.thumbnail()).toMatch(/^data:image\/jpeg;base64,/);
  });

  test("refuses what it cannot explain by name", async () => {
    const refusal = (options: Parameters<typeof explain>[2]) => explain(checkpoint, images, options);
    await expect(refusal({ layer: "conv3_block1_ot" })).rejects.toThrow(
      /^layer: expected a layer of the model, got conv3_block1_ot\. Did you mean .*conv3_block1_out/,
    );
    await expect(refusal({ layer: "predictions" })).rejects.toThrow(
      "predictions: expected an output with positions, [N,height,width,channels], got",
    );
    await expect(refusal({ target: 9 })).rejects.toThrow(
      "target: expected an index from 0 to 3 of predictions for each sample, got 9.",
    );
    await expect(refusal({ target: [0] })).rejects.toThrow("for each sample, got none.");
    const table = await readCheckpoint("fixtures/texts/k3-reviews.keras");
    await expect(explain(table, float32Tensor(new Float32Array(1), [1, 1]))).rejects.toThrow(
      "Grad-CAM: expected a layer with features [N,height,width,channels] before the head, got none.",
    );
  });
});
