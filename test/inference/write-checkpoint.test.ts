import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { writeCheckpoint } from "../../src/inference/write-checkpoint.ts";
import { modelPath } from "../formats/model-fixtures.ts";

const folder = mkdtempSync(join(tmpdir(), "onnx-"));
const path = join(folder, "model.onnx");

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(folder, { recursive: true }));

test("an ONNX file names its inputs and outputs after the model's, and carries labels and preprocessing", async () => {
  const checkpoint = await readCheckpoint(modelPath("k30-mobilenetv2.keras"));
  const notes = { ...checkpoint.notes, labels: ["ants", "bees"], preprocess: "tf" as const };
  await writeCheckpoint(path, { ...checkpoint, notes });
  const text = readFileSync(path, "latin1");
  for (const expected of ["keras-finetune", "batch", '["ants","bees"]', "preprocess"]) {
    expect(text).toContain(expected);
  }
});

test("writing ONNX leaves no tensor behind and the operations of tfjs as they were", async () => {
  const checkpoint = await readCheckpoint(modelPath("k30-mobilenetv2.keras"));
  const { runKernel } = tf.engine();
  const before = tf.memory().numTensors;
  await writeCheckpoint(path, checkpoint, { layout: "nchw" });
  expect(tf.memory().numTensors).toBe(before);
  expect(tf.engine().runKernel).toBe(runKernel);
});

test("a layer that looks at values while it runs is refused by name, and the file stays as it was", async () => {
  const checkpoint = await readCheckpoint(modelPath("k3-decompositions.keras"));
  const before = readFileSync(path);
  await expect(writeCheckpoint(path, checkpoint)).rejects.toThrow(
    /^svd: ONNX: expected operations that do not depend on values/,
  );
  expect(readFileSync(path).equals(before)).toBe(true);
});
