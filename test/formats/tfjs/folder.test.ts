import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { predict } from "../../../src/inference/predict.ts";
import { type Tensor, toFloat32 } from "../../../src/tensor.ts";
import { scratch } from "../../hdf5/temporary.ts";
import { oneIn } from "../../sample.ts";
import { distance } from "../distance.ts";
import { modelPath, type PackedTensor, unpacked } from "../model-fixtures.ts";

const fixtures = "fixtures/tfjs";

interface FolderRecord {
  readonly model: string;
  readonly inputs: readonly PackedTensor[];
  readonly outputs: readonly PackedTensor[];
}

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

describe.each(oneIn(3, readdirSync(fixtures)))("%s by tensorflowjs_converter", (name) => {
  const folder = join(fixtures, name);
  const record = JSON.parse(readFileSync(join(folder, "record.json"), "utf8")) as FolderRecord;

  const inputs = record.inputs.map(unpacked);
  const answers = record.outputs.map(unpacked);

  async function copied(checkpoint: Checkpoint, ending: string): Promise<Checkpoint> {
    const path = join(scratch(), `copy${ending}`);
    await writeCheckpoint(path, checkpoint);
    return readCheckpoint(path);
  }

  async function expectPredictions(checkpoint: Checkpoint, answered: readonly Tensor[]): Promise<void> {
    const outputs = await predict(checkpoint, inputs);
    answered.forEach((expected, index) => {
      expect(distance(toFloat32(outputs[index]!), toFloat32(expected))).toBeLessThan(2e-5);
    });
  }

  test("predicts what Keras predicts, read from the folder and from its model.json", async () => {
    const checkpoint = await readCheckpoint(folder);
    expect(checkpoint.format).toBe("tfjs");
    await expectPredictions(checkpoint, answers);
    expect(await readCheckpoint(join(folder, "model.json"))).toEqual(checkpoint);
  });

  test("predicts the same as .h5", async () => {
    await expectPredictions(await copied(await readCheckpoint(folder), ".h5"), answers);
  });

  test("predicts as .keras the same as the original model as .keras", async () => {
    const rounded = /(uint8|uint16|float16)$/.test(name);
    const original = await copied(await readCheckpoint(modelPath(record.model)), ".keras");
    const answered = rounded ? answers : await predict(original, inputs);
    await expectPredictions(await copied(await readCheckpoint(folder), ".keras"), answered);
  });
});

describe("a tfjs folder is refused", () => {
  const broken = (change: (folder: string, model: Record<string, unknown>) => void): string => {
    const folder = join(scratch(), "model");
    cpSync(join(fixtures, "sequential-uint8"), folder, { recursive: true });
    const model = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
    change(folder, model);
    writeFileSync(join(folder, "model.json"), JSON.stringify(model));
    return folder;
  };
  const groupOf = (model: Record<string, unknown>) =>
    (model["weightsManifest"] as { paths: string[]; weights: Record<string, unknown>[] }[])[0]!;

  test.each<[string, Parameters<typeof broken>[0], RegExp]>([
    [
      "a shard outside",
      (_, model) => groupOf(model).paths.push("../x.bin"),
      /model\.json: weights: shard "\.\.\/x\.bin" lies outside of the folder/,
    ],
    [
      "a missing shard",
      (folder) => rmSync(join(folder, "group1-shard1of1.bin")),
      /group1-shard1of1\.bin: no such file or directory/,
    ],
    [
      "a truncated shard",
      (folder) => truncateSync(join(folder, "group1-shard1of1.bin"), 100),
      /model\.json: weights: expected [\d,]+ bytes for \d+ weights, got 100\. Copy or download it again/,
    ],
    [
      "an unknown quantization",
      (_, model) => Object.assign(groupOf(model).weights[0]!, { quantization: { dtype: "uint4" } }),
      /quantization: expected uint8 or uint16 with scale and min, or float16, got \{"dtype":"uint4"\}/,
    ],
    [
      "a weight of text",
      (_, model) => Object.assign(groupOf(model).weights[0]!, { dtype: "string" }),
      /dtype: expected float32, int32 or bool, got "string"/,
    ],
    [
      "a shape that is none",
      (_, model) => Object.assign(groupOf(model).weights[0]!, { shape: [-1] }),
      /shape: expected whole numbers, got \[-1\]/,
    ],
    [
      "another JSON file",
      (_, model) => Reflect.deleteProperty(model, "modelTopology"),
      /modelTopology: expected an object\. It is no model of tfjs/,
    ],
  ])("%s", async (_, change, message) => {
    await expect(readCheckpoint(broken(change))).rejects.toThrow(message);
  });

  test("if it has no model.json", async () => {
    await expect(readCheckpoint(scratch())).rejects.toThrow(
      /is a directory: expected a file, or a tfjs folder/,
    );
  });
});
