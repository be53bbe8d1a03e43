import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { arrayDataset } from "../../src/data/arrays.ts";
import { imageFolder } from "../../src/data/class-folders.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { DataError, UsageError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { inspect } from "../../src/freeze/inspect.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import type { ClassProbability } from "../../src/inference/output-predictions.ts";
import { predict } from "../../src/inference/predict.ts";
import { type FilePrediction, predictFiles } from "../../src/inference/predict-files.ts";
import { float32Tensor } from "../../src/tensor.ts";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "fixtures");
const expected = JSON.parse(readFileSync(join(fixtures, "cli", "expected.json"), "utf8")) as {
  picture: string;
  probabilities: number[];
};
const photos = join(fixtures, "demo", "photos", "val");
let checkpoint: Checkpoint;
let labelled: Checkpoint;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  checkpoint = await readCheckpoint(join(fixtures, "cli", "small_resnet.keras"));
  labelled = { ...checkpoint, notes: { labels: ["gravel", "brick", "sand", "grass"] } };
  await ensureEngine();
});

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "classify-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function rankingOf(result: FilePrediction | undefined): readonly ClassProbability[] {
  return result && "predictions" in result ? result.predictions : [];
}

describe("predicting pictures", () => {
  test("a picture read, resized and preprocessed here is given Keras's probabilities", async () => {
    const [result] = await predictFiles(checkpoint, [join(fixtures, expected.picture)], { top: 4 });
    const byIndex = [...rankingOf(result)]
      .sort((a, b) => a.index - b.index)
      .map(({ probability }) => probability);
    byIndex.forEach((probability, index) => {
      expect(Math.abs(probability - expected.probabilities[index]!)).toBeLessThan(2e-5);
    });
    const order = rankingOf(result).map(({ probability }) => probability);
    expect(order).toEqual([...order].sort((a, b) => b - a));
  });

  test("labels name the classes, and top says how many", async () => {
    const [result] = await predictFiles(labelled, [join(fixtures, expected.picture)], { top: 2 });
    expect(rankingOf(result).map(({ label, index }) => [label, index])).toEqual([
      ["grass", 3],
      ["brick", 1],
    ]);
  });

  test("a folder means every picture in it, in order; what cannot be decoded is warned about", async () => {
    const folder = scratch();
    mkdirSync(join(folder, "inner"));
    cpSync(join(photos, "brick", "brick-30.jpg"), join(folder, "b.jpg"));
    cpSync(join(photos, "grass", "grass-30.jpg"), join(folder, "inner", "a.jpg"));
    writeFileSync(join(folder, "broken.jpg"), "no picture");
    const warnings: string[] = [];
    const results = await predictFiles(checkpoint, [folder], {
      onWarning: (message) => warnings.push(message),
    });
    expect(results.map(({ path }) => path)).toEqual([join(folder, "b.jpg"), join(folder, "inner", "a.jpg")]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("broken.jpg");
  });

  test("a picture named by its path that cannot be decoded, or is not there, is an error", async () => {
    const folder = scratch();
    const broken = join(folder, "broken.jpg");
    writeFileSync(broken, "no picture");
    await expect(predictFiles(checkpoint, [broken])).rejects.toThrow(DataError);
    await expect(predictFiles(checkpoint, [join(folder, "none.jpg")])).rejects.toThrow("got nothing there");
    mkdirSync(join(folder, "empty"));
    await expect(predictFiles(checkpoint, [join(folder, "empty")])).rejects.toThrow(
      "expected images, got none",
    );
  });
});

describe("evaluating", () => {
  test("loss, accuracy and confusion follow from the probabilities", async () => {
    const dataset = await imageFolder(photos);
    const classes = dataset.classNames.map((name) => labelled.notes.labels!.indexOf(name));
    const result = await evaluate(labelled, dataset, { batchSize: 7 });
    const predictions = await predictFiles(
      labelled,
      dataset.samples.map(({ path }) => path),
      { top: 4 },
    );
    const confusion = labelled.notes.labels!.map(() => [0, 0, 0, 0]);
    let loss = 0;
    dataset.samples.forEach(({ label }, row) => {
      const truth = classes[label ?? -1]!;
      const ranked = rankingOf(predictions[row]);
      confusion[truth]![ranked[0]!.index]!++;
      loss -= Math.log(ranked.find(({ index }) => index === truth)!.probability) / dataset.samples.length;
    });
    expect(result.confusion).toEqual(confusion);
    expect(result.samples).toBe(30);
    expect(Math.abs(result.loss - loss)).toBeLessThan(1e-5);
    expect(result.metrics["accuracy"]).toBeCloseTo(
      confusion.reduce((sum, row, index) => sum + row[index]!, 0) / 30,
      10,
    );
  });

  test("arrays are evaluated as they are, targets as indices or one-hot", async () => {
    const inputs = float32Tensor(
      Float32Array.from({ length: 5 * 32 * 32 * 3 }, (_, index) => Math.sin(index) * 90),
      [5, 32, 32, 3],
    );
    const [output] = await predict(checkpoint, inputs);
    const labels = [0, 1, 2, 3, 3];
    const expectedLoss =
      labels.reduce((sum, label, row) => sum - Math.log(Number(output!.data[row * 4 + label])), 0) / 5;
    const indices = await evaluate(
      checkpoint,
      arrayDataset(inputs, float32Tensor(Float32Array.from(labels), [5])),
    );
    const oneHot = Float32Array.from(labels.flatMap((label) => [0, 1, 2, 3].map((c) => Number(c === label))));
    const encoded = await evaluate(checkpoint, arrayDataset(inputs, float32Tensor(oneHot, [5, 4])), {
      batchSize: 2,
    });
    expect(Math.abs(indices.loss - expectedLoss)).toBeLessThan(1e-5);
    expect(Math.abs(encoded.loss - expectedLoss)).toBeLessThan(1e-5);
    expect(encoded.confusion).toEqual(indices.confusion);
    expect(indices.labels).toEqual(["0", "1", "2", "3"]);
  });

  test("classes that the model does not know, or are not as many as its outputs, are refused", async () => {
    const dataset = await imageFolder(photos);
    await expect(evaluate(checkpoint, dataset)).rejects.toThrow(
      "expected 4 classes, as the model has outputs, got 3",
    );
    const others = { ...checkpoint, notes: { labels: ["brick", "grass", "sand", "moss"] } };
    await expect(evaluate(others, dataset)).rejects.toThrow('data has class "gravel" that the model lacks.');
    await expect(evaluate(others, dataset)).rejects.toThrow(UsageError);
  });

  test("no tensor is left on the engine, also when evaluating fails", async () => {
    const dataset = await imageFolder(photos);
    await evaluate(labelled, dataset);
    const before = tf.memory().numTensors;
    await evaluate(labelled, dataset);
    await evaluate(checkpoint, dataset).catch(() => {});
    await predictFiles(checkpoint, [photos]);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("inspecting", () => {
  test("layers, stages and parameters add up to the model's", () => {
    const inspection = inspect(checkpoint);
    const values = [...checkpoint.weights.values()]
      .flat()
      .reduce((sum, weight) => sum + weight.data.length, 0);
    const moving = [...checkpoint.weights.values()]
      .flat()
      .filter(({ name }) => name.startsWith("moving_"))
      .reduce((sum, weight) => sum + weight.data.length, 0);
    expect(inspection.parameters).toEqual({ total: values, trainable: values - moving });
    expect(inspection.stages.map(({ name }) => name)).toEqual(["conv1", "conv2", "conv3", "head"]);
    expect(inspection.stages.reduce((sum, stage) => sum + stage.parameters, 0)).toBe(values);
    expect(inspection.stages.find(({ name }) => name === "conv3")!.firstWeighted).toMatch(/^conv3_block1_/);
    const [first] = inspection.layers;
    expect(first).toMatchObject({
      path: "input_layer",
      className: "InputLayer",
      outputShape: [null, 32, 32, 3],
    });
    expect([inspection.name, inspection.format, inspection.kerasVersion]).toEqual([
      "small_resnet",
      "keras",
      "3.15.1",
    ]);
  });

  test("a file read without its weights is inspected the same", async () => {
    const light = await readCheckpoint(join(fixtures, "cli", "small_resnet.keras"), { weights: false });
    expect(inspect(light)).toEqual(inspect(checkpoint));
  });
});
