import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { arrayDataset, crossValidate, imageFolder, readCheckpoint } from "../src/index.ts";
import { float32Tensor } from "../src/tensor.ts";

const fixtures = join(import.meta.dirname, "..", "fixtures");
const model = join(fixtures, "cli", "stand_in.h5");
const scratch = mkdtempSync(join(tmpdir(), "folds-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("each sample is held out once, features are extracted once, and figures have mean and spread", async () => {
  const photos = join(fixtures, "demo", "photos", "val");
  const out = join(scratch, "runs");
  const { folds, figures } = await crossValidate({
    model,
    data: photos,
    folds: 3,
    epochs: 1,
    cache: false,
    out,
  });
  const total = (await imageFolder(photos)).samples.length;
  expect(folds.map(({ features }) => features.samples)).toEqual([total, total, total]);
  expect(folds.map(({ features }) => features.extracted)).toEqual([total, 0, 0]);
  const losses = folds.map(({ history }) => history[0]?.val_loss ?? Number.NaN);
  const mean = losses.reduce((sum, loss) => sum + loss) / 3;
  expect(figures["val_loss"]?.mean).toBeCloseTo(mean, 12);
  const variance = losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / 2;
  expect(figures["val_loss"]?.std).toBeCloseTo(Math.sqrt(variance), 12);
  expect(new Set(losses).size).toBe(3);
  for (const fold of ["1", "2", "3"]) expect(existsSync(join(out, fold, "model.keras"))).toBe(true);
  const written = JSON.parse(readFileSync(join(out, "folds.json"), "utf8"));
  expect(written.figures).toEqual(figures);
  await expect(crossValidate({ model, data: photos, folds: 3, out })).rejects.toThrow(
    /^out: expected a new or empty folder/,
  );
});

test("arrays are split by their rows", async () => {
  const checkpoint = await readCheckpoint(model);
  const pixels = Float32Array.from({ length: 8 * 32 * 32 * 3 }, (_, index) => (index * 7919) % 255);
  const labels = Float32Array.from({ length: 8 }, (_, index) => index % 2);
  const data = arrayDataset(float32Tensor(pixels, [8, 32, 32, 3]), float32Tensor(labels, [8]));
  const { folds } = await crossValidate({ model: checkpoint, data, folds: 2, epochs: 1 });
  expect(folds.map(({ features }) => features.samples)).toEqual([8, 8]);
  const held = { ...data, validation: { inputs: data.inputs, targets: data.targets } };
  await expect(crossValidate({ model: checkpoint, data: held, folds: 2 })).rejects.toThrow(
    "folds: expected arrays without validation samples, got some.",
  );
});

test("a number of folds that the data does not have is refused", async () => {
  const data = join(fixtures, "demo", "photos", "val");
  await expect(crossValidate({ model, data, folds: 1 })).rejects.toThrow(
    "folds: expected a whole number of 2 or more, got 1.",
  );
  await expect(crossValidate({ model, data, folds: 1000 })).rejects.toThrow(
    /^folds: expected 1000 samples that differ or more/,
  );
});
