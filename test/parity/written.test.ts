import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { forEarlyKeras3 } from "../../src/formats/early-keras3.ts";
import type { Tensor } from "../../src/tensor.ts";
import { changesInKeras3 } from "../../src/topology/translate/changes-in-keras3.ts";
import type { ModelRecord } from "../formats/model-fixtures.ts";
import { modelPath, modelRecords, unpacked } from "../formats/model-fixtures.ts";
import { difference, magnitude } from "./differences.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";

/**
 * @file What is written of the models of Keras 1 and 2, opened by real Keras. `KERAS_PYTHON` may name an older one that is no
 * part of the suite: Keras 2 opens the .h5 of models up to its own release, Keras 3 the .keras, 3.0 to 3.3 in their form. What
 * fails in 3.0.5 is what it cannot reopen of its own either: calls of one layer out of order, a layer as an activation, models
 * in a Sequential, stacked cells; and it drops masks where layers merge.
 */

let keras: Keras;
let version: readonly number[];
beforeAll(async () => {
  keras = startKeras();
  version = (await keras.ask<string>("version", {})).split(".").map(Number);
});
afterAll(() => keras.close());

/** Whether the Keras that is asked opens what the release saved: later ones of Keras 2 no MultiHeadAttention of 2.4. */
function isKnown(file: string, { keras: release }: ModelRecord): boolean {
  const [major, minor] = release.split(".").map(Number);
  if (file === "k24-transformer.h5") return version[1] === minor;
  return major! < version[0]! || (major === version[0]! && minor! <= version[1]!);
}

/** The largest difference of a model's predictions from those in its record, relative to these. */
async function apart(path: string, { inputs, outputs }: ModelRecord): Promise<number> {
  await keras.ask("open", { name: "written", path });
  const asked = inputs.map((input): Tensor => asFloat32(unpacked(input)));
  const answer = await keras.ask<{ outputs: Tensor[] }>("predict", { name: "written", inputs: asked });
  const differences = outputs.map((expected, index) => {
    const wanted = asFloat32(unpacked(expected));
    return difference(answer.outputs[index]!, wanted) / Math.max(1, magnitude(wanted));
  });
  return Math.max(...differences);
}

function asFloat32(tensor: Tensor): Tensor {
  return { ...tensor, dtype: "float32", data: Float32Array.from(tensor.data as ArrayLike<number>) };
}

/** TensorFlow has no convolution of channels-first pictures on a CPU, and a wrong one in its oneDNN build. */
const channelsFirst = /-(channels-first|theano)\.h5$/;

const records = modelRecords().filter(
  ([file, record]) => /^[12]\./.test(record.keras) && !channelsFirst.test(file),
);

describe.each(records)("%s", (file, record) => {
  test("Keras opens what we write and predicts the same, unless a warning says what changes", async () => {
    const checkpoint = await readCheckpoint(modelPath(file));
    const isKeras2 = version[0] === 2;
    if (isKeras2 && !isKnown(file, record)) return;
    const path = join(keras.folder, `written${isKeras2 ? ".h5" : ".keras"}`);
    if (!isKeras2 && JSON.stringify(checkpoint.modelConfig).includes('"TFOpLambda"')) {
      await expect(writeCheckpoint(path, checkpoint)).rejects.toThrow("Keras 3 has no such layer");
      return;
    }
    const isEarly = version[0] === 3 && version[1]! < 4;
    await writeCheckpoint(path, isEarly ? forEarlyKeras3(checkpoint) : checkpoint);
    const largest = await apart(path, record);
    if (changesInKeras3(checkpoint).length === 0) expect(largest).toBeLessThan(record.within ?? 2e-5);
  });
});
