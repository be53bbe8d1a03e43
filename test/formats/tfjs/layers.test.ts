import { join } from "node:path";
import { loadLayersModel } from "@tensorflow/tfjs-layers";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import { TopologyError } from "../../../src/errors.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { predict } from "../../../src/inference/predict.ts";
import { toFloat32 } from "../../../src/tensor.ts";
import { scratch } from "../../hdf5/temporary.ts";
import { isWhole } from "../../sample.ts";
import { distance } from "../distance.ts";
import { modelPath, type PackedTensor, sampledModels, unpacked } from "../model-fixtures.ts";
import { fromFolder } from "./handler.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

function uploaded({ shape, dtype, base64 }: PackedTensor): tf.Tensor {
  const { buffer } = Uint8Array.from(Buffer.from(base64, "base64"));
  return dtype === "int32"
    ? tf.tensor(new Int32Array(buffer), [...shape], "int32")
    : tf.tensor(new Float32Array(buffer), [...shape]);
}

/** The folder that the model was written into, or what refused it. */
async function written(checkpoint: Checkpoint): Promise<string | TopologyError> {
  const folder = join(scratch(), "model");
  try {
    await writeCheckpoint(folder, checkpoint);
    return folder;
  } catch (error) {
    if (error instanceof TopologyError) return error;
    throw error;
  }
}

const refused: string[] = [];

describe.each(sampledModels())("%s", (file, record) => {
  test("predicts in tfjs-layers what Keras predicted, or is refused by layer name", async () => {
    const folder = await written(await readCheckpoint(modelPath(file)));
    if (folder instanceof TopologyError) {
      refused.push(file);
      expect(folder.message).toMatch(/^[\w./-]+: \w[\w.]*: tfjs-layers /);
      return;
    }
    const model = await loadLayersModel(fromFolder(folder));
    const outputs = [model.predict(record.inputs.map(uploaded), { batchSize: 64 })].flat();
    expect(outputs.length).toBe(record.outputs.length);
    record.outputs.forEach((expected, index) => {
      const output = outputs[index]!;
      expect(output.shape).toEqual(expected.shape);
      const within = record.within ?? 2e-5;
      expect(distance(output.dataSync(), uploaded(expected).dataSync())).toBeLessThan(within);
    });
    model.dispose();
  });

  test("is the same model when it is read back, also as .h5, and as .keras if it came from Keras 3", async () => {
    const folder = await written(await readCheckpoint(modelPath(file)));
    if (folder instanceof TopologyError) return;
    const read = await readCheckpoint(folder);
    const copied = async (ending: string): Promise<Checkpoint> => {
      const path = join(scratch(), `copy${ending}`);
      await writeCheckpoint(path, read);
      return readCheckpoint(path);
    };
    expect((await copied(".h5")).weights).toEqual(read.weights);
    const models = record.keras.startsWith("3") ? [read, await copied(".keras")] : [read];
    for (const model of models) {
      const outputs = await predict(model, record.inputs.map(unpacked));
      record.outputs.forEach((expected, index) => {
        const values = toFloat32(unpacked(expected));
        expect(distance(toFloat32(outputs[index]!), values)).toBeLessThan(record.within ?? 2e-5);
      });
    }
  });
});

test.runIf(isWhole)("tfjs-layers can represent most of the models", () => {
  expect(refused.length).toBeLessThan(sampledModels().length / 2);
});
