import { readdirSync, readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { useEngine } from "../../src/engine/backend.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { distance } from "../formats/distance.ts";
import { type PackedTensor, unpacked } from "../formats/model-fixtures.ts";

const folder = "fixtures/training/masked";

interface MaskedStep {
  readonly loss: number;
  readonly inputs: PackedTensor;
  readonly targets: PackedTensor;
  /** After the step. */
  readonly weights: readonly PackedTensor[];
}

const files = readdirSync(folder).filter((name) => name.endsWith(".h5"));

beforeAll(() => useEngine(process.env["KERAS_FINETUNE_ENGINE"] === "native" ? "native" : "wasm"));

test.each(files)("under a mask %s has the loss of the Keras that wrote it, and its step", async (file) => {
  const path = `${folder}/${file}`;
  const step = JSON.parse(readFileSync(path.replace(".h5", ".json"), "utf8")) as MaskedStep;
  const trainer = await createTrainer(await readCheckpoint(path), {
    freeze: [],
    loss: "mean_squared_error",
    optimizer: { class_name: "SGD", config: { learning_rate: 0.01 } },
  });
  const { loss } = await trainer.trainOnBatch(unpacked(step.inputs), unpacked(step.targets));
  expect(loss).toBeCloseTo(step.loss, 5);
  const after = trainer.checkpoint().weights.get("scores")!;
  trainer.dispose();
  step.weights.forEach((expected, index) => {
    const values = after[index]!.data as Float32Array;
    expect(distance(values, unpacked(expected).data as Float32Array)).toBeLessThan(2e-6);
  });
});

test("from 2.3 to 2.9 Keras divides by what a mask leaves out too, before and after it does not", () => {
  const losses = files.map((file) => {
    const { loss } = JSON.parse(
      readFileSync(`${folder}/${file.replace(".h5", ".json")}`, "utf8"),
    ) as MaskedStep;
    return [file, loss.toFixed(3)] as const;
  });
  const { "k24.h5": k24, "k29.h5": k29, ...others } = Object.fromEntries(losses);
  expect(k24).toBe(k29);
  expect(new Set(Object.values(others)).size).toBe(1);
  expect(Object.values(others)).not.toContain(k29);
});
