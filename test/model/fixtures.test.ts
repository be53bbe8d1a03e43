import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { predict } from "../../src/inference/predict.ts";
import { toFloat32 } from "../../src/tensor.ts";
import { modelPath, sampledModels, unpacked } from "../formats/model-fixtures.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

describe.each(sampledModels())("%s", (file, record) => {
  test("predicts what the Keras that saved it predicted, and leaks no tensor", async () => {
    const checkpoint = await readCheckpoint(modelPath(file));
    const before = tf.memory().numTensors;
    const outputs = await predict(checkpoint, record.inputs.map(unpacked), {
      batchSize: record.batchSize ?? 32,
    });
    expect(tf.memory().numTensors).toBe(before);
    expect(outputs.length).toBe(record.outputs.length);
    record.outputs.forEach((expected, index) => {
      const values = toFloat32(unpacked(expected));
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      const output = outputs[index]!;
      expect(output.shape).toEqual(expected.shape);
      const apart = toFloat32(output).map((value, position) => Math.abs(value - values[position]!));
      const worst = apart.reduce((most, value) => Math.max(most, value), 0);
      expect(worst / largest).toBeLessThan(record.within ?? 2e-5);
    });
  });
});
