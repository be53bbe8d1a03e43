import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
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

test("an ONNX file says how images are prepared where the Keras file does not, unless nobody knows", async () => {
  const checkpoint = await readCheckpoint(modelPath("k215-resnet50.h5"));
  expect(checkpoint.notes.preprocess).toBeUndefined();
  await writeCheckpoint(path, checkpoint);
  const noted = (mode: string): boolean =>
    new RegExp(`preprocess.{0,4}${mode}`, "s").test(readFileSync(path, "latin1"));
  expect(noted("caffe")).toBe(true);
  await writeCheckpoint(path, checkpoint, { preprocess: "unit" });
  expect(noted("unit")).toBe(true);
  await writeCheckpoint(path, await readCheckpoint(modelPath("k3-convolutions.keras")));
  expect(noted("")).toBe(false);
});

test("float16 halves the file, and a weight beyond its range is refused by name", async () => {
  const checkpoint = await readCheckpoint(modelPath("k215-resnet50.h5"));
  await writeCheckpoint(path, checkpoint);
  const whole = statSync(path).size;
  await writeCheckpoint(path, checkpoint, { float16: true });
  expect(statSync(path).size).toBeLessThan(0.75 * whole);
  const [layer, weights] = [...checkpoint.weights].find(([, [first]]) => (first?.shape.length ?? 0) > 1)!;
  const [kernel, ...others] = weights;
  const large = { ...kernel!, data: Float32Array.from(kernel!.data as Float32Array, () => 1e6) };
  const beyond = { ...checkpoint, weights: new Map(checkpoint.weights).set(layer, [large, ...others]) };
  await expect(writeCheckpoint(path, beyond, { float16: true })).rejects.toThrow(
    /float16: expected numbers below 65520, got/,
  );
});

test("options of ONNX are refused for other formats, and preprocessing inside for what nobody knows how to prepare", async () => {
  const checkpoint = await readCheckpoint(modelPath("k3-convolutions.keras"));
  const keras = join(folder, "model.keras");
  const refusals = [
    [keras, { embedPreprocess: true }, /^embedPreprocess: expected the format onnx, got "keras"/],
    [keras, { preprocess: "tf" }, /^preprocess: expected the format onnx, got "keras"/],
    [keras, { float16: true }, /^float16: expected the format onnx, got "keras"/],
    [path, { embedPreprocess: true }, /^embedPreprocess: expected a known preprocessing, got unknown/],
  ] as const;
  for (const [file, options, message] of refusals) {
    await expect(writeCheckpoint(file, checkpoint, options)).rejects.toThrow(message);
  }
  const texts = await readCheckpoint(modelPath("k3-shared.keras"));
  await expect(writeCheckpoint(path, texts, { embedPreprocess: true })).rejects.toThrow(
    /^embedPreprocess: expected a model of images, got/,
  );
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
