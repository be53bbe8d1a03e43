import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import type { Predictor, Tensor } from "../../src/index.ts";
import { createPredictor, predict, predictFiles, readCheckpoint } from "../../src/index.ts";
import { float32Tensor } from "../../src/tensor.ts";

const photos = ["brick/brick-30.jpg", "grass/grass-31.jpg", "gravel/gravel-32.jpg"].map((name) =>
  join("fixtures/demo/photos/val", name),
);
let checkpoint: Checkpoint;
let predictor: Predictor;
let held = 0;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
  checkpoint = await readCheckpoint("fixtures/cli/small_resnet.keras");
  held = tf.memory().numTensors;
  predictor = await createPredictor(checkpoint, { batchSize: 4 });
});
afterAll(() => predictor.dispose());

/** Images of one shade each. */
function shades(...values: number[]): Tensor {
  const data = new Float32Array(values.length * 32 * 32 * 3);
  values.forEach((value, row) => {
    data.fill(value, row * 3072, (row + 1) * 3072);
  });
  return float32Tensor(data, [values.length, 32, 32, 3]);
}

function expectEqual(ours: Tensor | undefined, expected: Tensor | undefined): void {
  expect(ours?.shape).toEqual(expected?.shape);
  ours?.data.forEach((value: number | bigint, index: number) => {
    expect(Math.abs(Number(value) - Number(expected?.data[index]))).toBeLessThan(1e-6);
  });
}

describe("createPredictor", () => {
  test("answers as predict does, calls at the same time among them, each with its own rows", async () => {
    const asked = [shades(0, 10), shades(200), shades(30, 60, 90), shades(1, 2, 3, 4, 5, 6), shades(120)];
    const answers = await Promise.all(asked.map((inputs) => predictor.predict(inputs)));
    for (const [index, inputs] of asked.entries()) {
      const [expected] = await predict(checkpoint, inputs);
      expectEqual(answers[index]?.[0], expected);
    }
  });

  test("runs calls that wait together as one batch, and a call of other sizes by itself", async () => {
    const calls = [shades(1), shades(2, 3), shades(4), shades(5, 6, 7)];
    const { kernels } = await tf.profile(async () => {
      await Promise.all(calls.map((inputs) => predictor.predict(inputs)));
      return [];
    });
    const batches = kernels.flatMap(({ inputShapes }) => {
      const [first] = inputShapes;
      return first?.length === 4 && first[1] === 32 && first[3] === 3 ? [first[0]] : [];
    });
    expect([...new Set(batches)]).toEqual([4, 3]);
  });

  test("says of images, by path or by their bytes, what predictFiles says", async () => {
    const expected = await predictFiles(checkpoint, photos, { top: 2 });
    const said = await predictor.predictImages(
      [photos[0] ?? "", ...photos.slice(1).map((path) => readFileSync(path))],
      {
        top: 2,
      },
    );
    expect(said).toHaveLength(3);
    for (const [index, own] of said.entries()) {
      const other = expected[index];
      if (!("predictions" in own) || !other || !("predictions" in other)) throw new Error("no classes");
      expect(own.predictions.map(({ label }) => label)).toEqual(other.predictions.map(({ label }) => label));
      own.predictions.forEach(({ probability }, rank) => {
        expect(Math.abs(probability - (other.predictions[rank]?.probability ?? 0))).toBeLessThan(1e-6);
      });
    }
    await expect(predictor.predictImages([new Uint8Array(20)])).rejects.toThrow("image: not an image");
  });

  test("refuses inputs that the model does not take, and goes on", async () => {
    const [wrong, right] = await Promise.allSettled([
      predictor.predict(float32Tensor(new Float32Array(5), [1, 5])),
      predictor.predict(shades(7)),
    ]);
    expect(wrong).toMatchObject({ status: "rejected" });
    expectEqual(
      right?.status === "fulfilled" ? right.value[0] : undefined,
      (await predict(checkpoint, shades(7)))[0],
    );
  });

  test("answers what was asked before it is disposed, then keeps nothing and refuses", async () => {
    const own = await createPredictor(checkpoint);
    const before = own.predict(shades(3));
    own.dispose();
    await expect(own.predict(shades(3))).rejects.toThrow("predictor: expected one in use");
    expect((await before)[0]?.shape).toEqual([1, 4]);
    predictor.dispose();
    await new Promise((resolve) => setImmediate(resolve));
    expect(tf.memory().numTensors).toBe(held);
  });
});
