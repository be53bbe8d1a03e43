import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Checkpoint, Tensor } from "../src/index.ts";
import {
  arrayDataset,
  extractFeatures,
  finetune,
  freezeUntil,
  imageFolder,
  layerGraph,
  planFinetune,
  predict,
  readCheckpoint,
} from "../src/index.ts";
import { randomGenerator } from "../src/random.ts";
import { randomWeights } from "./topology/rewrites/graph-maker.ts";

const cache = mkdtempSync(join(tmpdir(), "keras-finetune-test-"));
afterAll(() => rmSync(cache, { recursive: true }));

const model = "fixtures/cli/small_resnet.keras";
const random = randomGenerator(7);
const uniform = (shape: number[]): Tensor => ({
  dtype: "float32",
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.nextFloat() * 2 - 1),
});

/** Pictures in memory of two classes that differ in brightness, as the model takes them. */
async function arrays(samples: number): Promise<ReturnType<typeof arrayDataset>> {
  const graph = layerGraph(await readCheckpoint(model, { weights: false }));
  const { shape } = graph.nodes[graph.inputs[0]!.ref.node]!.outputs[0]!;
  const inputs = uniform([samples, ...(shape!.slice(1) as number[])]);
  const targets = Float32Array.from({ length: samples }, (_, row) => row % 2);
  const row = inputs.data.length / samples;
  inputs.data.forEach((value, index) => {
    inputs.data[index] = Number(value) * 0.1 + targets[Math.floor(index / row)]!;
  });
  return arrayDataset(inputs, { dtype: "float32", shape: [samples], data: targets });
}

test("arrays with class indices train a new head of as many classes", async () => {
  const data = await arrays(24);
  const result = await finetune({ model, data, epochs: 8, batchSize: 8, learningRate: 0.05 });
  expect(result.plan.parameters.trainable).toBeGreaterThan(0);
  expect(result.proof.unchanged).toBe(true);
  expect(result.checkpoint.notes.labels).toEqual(["0", "1"]);
  expect(result.history.at(-1)!.loss).toBeLessThan(result.history[0]!.loss);
  const [output] = await predict(result.checkpoint, data.inputs);
  expect(output!.shape).toEqual([24, 2]);
});

test("real values train the output that is there", async () => {
  const data = await arrays(16);
  const { shape } = (await predict(await readCheckpoint(model), data.inputs))[0]!;
  const targets = uniform([...shape]);
  const result = await finetune({
    model,
    data: { ...data, targets },
    freeze: freezeUntil("conv3"),
    loss: "mean_squared_error",
    epochs: 3,
    batchSize: 8,
  });
  const [output] = await predict(result.checkpoint, data.inputs);
  expect(output!.shape).toEqual(shape);
  expect(result.checkpoint.notes.labels ?? []).toEqual([]);
  expect(result.history.at(-1)!.loss).toBeLessThan(result.history[0]!.loss);
});

test("the same seed gives the same weights to the bit", async () => {
  const data = await arrays(16);
  const [first, second] = [1, 2].map(() => finetune({ model, data, epochs: 2, batchSize: 8, seed: 3 }));
  expect((await first!).checkpoint.weights).toEqual((await second!).checkpoint.weights);
});

test("the features of a plan are those of its frontier, and come from the cache the second time", async () => {
  const checkpoint = await readCheckpoint("fixtures/demo/efficientnet_lite0.keras");
  const plan = planFinetune(checkpoint, { freeze: freezeUntil("top") });
  const photos = await imageFolder("fixtures/demo/photos");
  const dataset = { ...photos, samples: photos.samples.slice(0, 3) };
  const first = await extractFeatures(checkpoint, plan, dataset, { cache });
  const second = await extractFeatures(checkpoint, plan, dataset, { cache });
  expect(first).toMatchObject({ extracted: 3, cached: 0, bad: [] });
  expect(second).toMatchObject({ extracted: 0, cached: 3 });
  expect(second.tensors).toEqual(first.tensors);
  expect(first.tensors.map((tensor) => tensor.shape.slice(1))).toEqual(
    plan.frontier.map((tensor) => tensor.shape.filter((size) => size !== null)),
  );
});

test("a class at every word trains the output that is there, from indices or one-hot, padding left out", async () => {
  const recorded = JSON.parse(readFileSync("fixtures/training/tags-sparse.json", "utf8")) as Pick<
    Checkpoint,
    "modelConfig"
  >;
  const graph = layerGraph({ kerasVersion: "3.15.1", modelConfig: recorded.modelConfig });
  const weights = randomWeights(graph, 1);
  const tagger: Checkpoint = {
    format: "keras",
    kerasVersion: "3.15.1",
    modelConfig: recorded.modelConfig,
    weights,
    notes: {},
  };
  const inputs = { ...uniform([8, 5]), data: Float32Array.from({ length: 40 }, (_, at) => (at * 7) % 9) };
  const classes = inputs.data.map((word) => word % 3);
  const indices = { dtype: "float32" as const, shape: [8, 5], data: classes };
  const oneHot = { ...indices, shape: [8, 5, 3], data: new Float32Array(120) };
  classes.forEach((label, at) => {
    oneHot.data[at * 3 + label] = 1;
  });
  const runs = [indices, oneHot].map((targets) =>
    finetune({ model: tagger, data: arrayDataset(inputs, targets), epochs: 4, learningRate: 0.01 }),
  );
  const [sparse, dense] = await Promise.all(runs);
  expect(sparse!.history.at(-1)!.loss).toBeLessThan(sparse!.history[0]!.loss);
  expect(dense!.history.map(({ accuracy }) => accuracy)).toEqual(
    sparse!.history.map(({ accuracy }) => accuracy),
  );
  const [output] = await predict(sparse!.checkpoint, inputs);
  expect(output!.shape).toEqual([8, 5, 3]);
});
