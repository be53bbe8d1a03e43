import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { predict } from "../../src/inference/predict.ts";
import type { Tensor } from "../../src/tensor.ts";
import { type PackedTensor, unpacked } from "../formats/model-fixtures.ts";
import { inputsFor, saveByTfjs, tfjsNetworks } from "../formats/tfjs/networks.ts";
import { relativeDifference } from "./differences.ts";
import { type Keras, startKeras } from "./keras.ts";
import { measured } from "./measured.ts";

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

const fixtures = "fixtures/tfjs";

/** What real Keras makes of the `.keras` that we write of a folder of tfjs, beside what we do. */
async function expectAgreement(name: string, folder: string, inputs: readonly Tensor[]): Promise<void> {
  const path = join(keras.folder, `${name}.keras`);
  await writeCheckpoint(path, await readCheckpoint(folder));
  const ours = await predict(await readCheckpoint(path), inputs);
  await keras.ask("open", { name, path });
  const { outputs } = await keras.ask<{ outputs: Tensor[] }>("predict", { name, inputs });
  ours.forEach((output, index) => {
    const apart = relativeDifference(output, outputs[index]!);
    measured(`predictions of ${name} from tfjs`, apart);
    expect(apart).toBeLessThan(1e-5);
  });
}

function asFloat(shape: readonly number[], data: ArrayLike<number>): Tensor {
  return { dtype: "float32", shape, data: Float32Array.from(data) };
}

test.each(readdirSync(fixtures))("Keras opens our .keras of %s by tensorflowjs_converter", async (name) => {
  const record = JSON.parse(readFileSync(join(fixtures, name, "record.json"), "utf8")) as {
    inputs: PackedTensor[];
  };
  const inputs = record.inputs
    .map(unpacked)
    .map(({ shape, data }) => asFloat(shape, data as ArrayLike<number>));
  await expectAgreement(name, join(fixtures, name), inputs);
});

test.each(Object.entries(tfjsNetworks))(
  "Keras opens our .keras of %s by tfjs-layers",
  async (name, build) => {
    await ensureEngine();
    const model = build();
    const folder = join(keras.folder, name);
    await saveByTfjs(model, folder);
    const inputs = inputsFor(model).map((tensor) => asFloat(tensor.shape, tensor.dataSync()));
    await expectAgreement(name, folder, inputs);
  },
);
