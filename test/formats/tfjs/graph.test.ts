import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { replaceHead } from "../../../src/head/replace-head.ts";
import { predict } from "../../../src/inference/predict.ts";
import { type Tensor, toFloat32 } from "../../../src/tensor.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";
import { scratch } from "../../hdf5/temporary.ts";
import { distance } from "../distance.ts";
import { type PackedTensor, unpacked } from "../model-fixtures.ts";
import { fromFolder } from "./handler.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const fixtures = "fixtures/tfjs-graphs";

interface GraphRecord {
  readonly inputs: readonly PackedTensor[];
  readonly outputs: readonly PackedTensor[];
}

function recordOf(name: string): GraphRecord {
  return JSON.parse(readFileSync(join(fixtures, name, "record.json"), "utf8")) as GraphRecord;
}

function expectNear(outputs: readonly Tensor[], expected: readonly Tensor[]): void {
  expect(outputs.map(({ shape }) => shape)).toEqual(expected.map(({ shape }) => shape));
  outputs.forEach((output, index) => {
    expect(distance(toFloat32(output), toFloat32(expected[index]!))).toBeLessThan(2e-5);
  });
}

/** What tfjs's own graph model predicts. */
async function predictedByTfjs(folder: string, { shape, data }: Tensor): Promise<Tensor> {
  const model = await loadGraphModel(fromFolder(folder));
  const output = model.predict(tf.tensor(data as Float32Array, [...shape])) as tf.Tensor;
  model.dispose();
  return { dtype: "float32", shape: output.shape, data: output.dataSync() };
}

async function written(checkpoint: Checkpoint): Promise<string> {
  const folder = join(scratch(), "graph");
  await writeCheckpoint(folder, checkpoint);
  return folder;
}

describe.each(readdirSync(fixtures))("graph model %s", (name) => {
  const { inputs, outputs } = recordOf(name);
  const folder = join(fixtures, name);

  test("predicts the same as its original Keras model and leaks no tensor", async () => {
    const checkpoint = await readCheckpoint(folder);
    await predict(checkpoint, inputs.map(unpacked));
    const before = tf.memory().numTensors;
    expectNear(await predict(checkpoint, inputs.map(unpacked)), outputs.map(unpacked));
    expect(tf.memory().numTensors).toBe(before);
  });

  test("a graph model that is written again is a tfjs graph model that predicts the same", async () => {
    const copy = await written(await readCheckpoint(folder));
    expectNear([await predictedByTfjs(copy, unpacked(inputs[0]!))], outputs.map(unpacked));
    expectNear(await predict(await readCheckpoint(copy), inputs.map(unpacked)), outputs.map(unpacked));
  });

  test("is written with a new head as one graph, and read again as a graph with a Dense layer", async () => {
    const headed = replaceHead(await readCheckpoint(folder), { classes: 3, seed: 1 });
    const checkpoint = { ...headed, notes: { ...headed.notes, labels: ["a", "b", "c"] } };
    const expected = await predict(checkpoint, inputs.map(unpacked));
    expect(expected[0]!.shape).toEqual([2, 3]);
    const copy = await written(checkpoint);
    expectNear([await predictedByTfjs(copy, unpacked(inputs[0]!))], expected);
    const read = await readCheckpoint(copy);
    expectNear(await predict(read, inputs.map(unpacked)), expected);
    expect(read.notes.labels).toEqual(["a", "b", "c"]);
    expect(layerGraph(read).layers.map(({ className }) => className)).toEqual(
      expect.arrayContaining(["tfjs>GraphModel", "Dense"]),
    );
  });

  test.each(["model.keras", "model.h5", "model.weights.h5"])("cannot be written as %s", async (file) => {
    const checkpoint = await readCheckpoint(folder);
    await expect(writeCheckpoint(join(scratch(), file), checkpoint)).rejects.toThrow(
      /a tfjs graph model has no layers that a Keras file could hold\. Write a tfjs folder/,
    );
  });
});

test("the last matrix product of a classifier's graph becomes a Dense layer of its name; a feature extractor has none", async () => {
  const classes = async (name: string) =>
    layerGraph(await readCheckpoint(join(fixtures, name))).layers.map(
      ({ path, className }) => `${path} ${className}`,
    );
  expect((await classes("classifier")).slice(1)).toEqual(["graph tfjs>GraphModel", "predictions Dense"]);
  expect((await classes("features")).slice(1)).toEqual(["graph tfjs>GraphModel"]);
});

describe("a graph is refused", () => {
  const changed = (change: (text: string) => string): string => {
    const folder = join(scratch(), "graph");
    cpSync(join(fixtures, "features"), folder, { recursive: true });
    const path = join(folder, "model.json");
    writeFileSync(path, change(readFileSync(path, "utf8")));
    return folder;
  };

  test("if its control flow depends on the data, before anything runs", async () => {
    const checkpoint = await readCheckpoint(changed((text) => text.replace(/"op": "Mean"/, '"op": "While"')));
    await expect(predict(checkpoint, recordOf("features").inputs.map(unpacked))).rejects.toThrow(
      /graph \(tfjs>GraphModel\): its node .* \(While\) is control flow or has state that depends on the data/,
    );
  });

  test("if tfjs lacks one of its operations", async () => {
    const checkpoint = await readCheckpoint(changed((text) => text.replace(/"op": "Mean"/, '"op": "Mode"')));
    await expect(predict(checkpoint, recordOf("features").inputs.map(unpacked))).rejects.toThrow(
      /graph: tfjs-converter cannot run it: Unknown op 'Mode'/,
    );
  });

  test("if it takes a fixed number of samples", async () => {
    const folder = changed((text) => text.replaceAll('"size": "-1"', '"size": "1"'));
    await expect(readCheckpoint(folder)).rejects.toThrow(/expected a variable batch size, got 1/);
  });

  test("if one of its constants is missing", async () => {
    const folder = changed((text) => {
      const model = JSON.parse(text);
      model.weightsManifest[0].weights[0].name = "another";
      return JSON.stringify(model);
    });
    await expect(readCheckpoint(folder)).rejects.toThrow(
      /graph: constant \S+: expected its values among the weights, got none/,
    );
  });
});
