import { beforeAll, expect, test } from "vitest";
import type { Weight, Weights } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { cutModel } from "../../src/features/cut.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { randomGenerator } from "../../src/random.ts";
import { elementCount, float32Tensor } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { optimizerConfig } from "../../src/training/optimizer-config.ts";
import type { Snapshot } from "../../src/training/snapshot.ts";
import { createTail } from "../../src/training/tail.ts";
import { modelPath } from "../formats/model-fixtures.ts";
import { objectiveWith } from "../task/objective.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

function valuesOf(weights: Weights): number[] {
  return [...weights.values()].flatMap((layer) => layer.flatMap(({ data }) => [...(data as Float32Array)]));
}

function readAndDispose(snapshot: Snapshot): number[] {
  const values = valuesOf(snapshot.read());
  snapshot.dispose();
  return values;
}

test.each(["Adam", "SGD"])("later steps of %s leave a snapshot as it was", async (className) => {
  const checkpoint = await readCheckpoint(modelPath("k3-residual.keras"));
  const before = tf.memory().numTensors;
  const graph = layerGraph(checkpoint);
  const cut = cutModel(graph, { frozen: new Set(), bnMode: "follow", newLayers: new Set() });
  const tail = createTail({
    ...cut,
    weights: checkpoint.weights,
    optimizer: optimizerConfig(className, 0.1),
    objective: objectiveWith(graph, "mean_squared_error"),
    seed: 0,
  });
  const shape = (ref: { node: number; output: number }): number[] => [
    2,
    ...(graph.nodes[ref.node]!.outputs[ref.output]!.shape!.slice(1) as number[]),
  ];
  const features = cut.partition.frontier.map((ref) => tf.randomNormal(shape(ref), 0, 1, "float32", 1));
  const random = randomGenerator(2);
  const output = shape(graph.outputs[0]!.ref);
  const data = Float32Array.from({ length: elementCount(output) }, () => 2 * random.nextFloat() - 1);
  const targets = [{ targets: float32Tensor(data, output) }];
  await tail.trainOnBatch({ features, targets });
  const early = tail.snapshot();
  const then = valuesOf(early.read());
  await tail.trainOnBatch({ features, targets });
  const now = readAndDispose(tail.snapshot());
  expect(now).not.toEqual(then);
  expect(readAndDispose(early)).toEqual(then);
  tail.dispose();
  tf.dispose(features);
  expect(tf.memory().numTensors).toBe(before);
});

test("a weight that is not finite is named, though the loss is a number on WebAssembly", async () => {
  const checkpoint = await readCheckpoint(modelPath("k3-residual.keras"));
  const graph = layerGraph(checkpoint);
  const tail = createTail({
    ...cutModel(graph, { frozen: new Set(), bnMode: "follow", newLayers: new Set() }),
    weights: checkpoint.weights,
    optimizer: optimizerConfig("SGD", 0.1),
    objective: objectiveWith(graph, "mean_squared_error"),
    seed: 0,
  });
  expect(await tail.nonFiniteWeight()).toBeNull();
  const state = tail.state();
  const [path, [weight, ...others]] = [...state.weights][0] as [string, Weight[]];
  const data = Float32Array.from(weight?.data as Float32Array);
  data[1] = Number.NaN;
  tail.restore({ ...state, weights: new Map([[path, [{ ...(weight as Weight), data }, ...others]]]) });
  expect(await tail.nonFiniteWeight()).toBe(`${path}/${weight?.name}`);
  tail.dispose();
});
