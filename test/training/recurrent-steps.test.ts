import { afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, Json, JsonObject } from "../../src/checkpoint.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { randomGenerator } from "../../src/random.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { Batch } from "../../src/training/batch.ts";
import { layer, sequential } from "../sequential.ts";
import { randomWeights } from "../topology/rewrites/graph-maker.ts";
import { expectClose, stepsOf, tailOf } from "./both-ways.ts";
import { dense } from "./small-run.ts";

const isNative = process.env["KERAS_FINETUNE_ENGINE"] === "native";
const [words, time, rows] = [12, 5, 6];

beforeAll(async () => {
  await ensureEngine();
});

afterEach(() => {
  delete process.env["KERAS_FINETUNE_GRAPH"];
});

/** Returns a network of words: an embedding, which may mask word 0, the layer given, and a Dense layer. */
function network(className: string, config: JsonObject, isMasked = false): Checkpoint {
  const layers = [
    layer("Embedding", { name: "words", input_dim: words, output_dim: 4, mask_zero: isMasked }),
    layer(className, { ...config, name: "layer" }),
    dense("last", 3, "softmax"),
  ];
  const bare = sequential("words", [time], layers, new Map());
  return { ...bare, weights: randomWeights(layerGraph(bare), 3) };
}

/** Returns a batch of words, those of seed 0 all masked. */
function batchOf(seed: number): Batch {
  const random = randomGenerator(seed);
  const tokens = Float32Array.from(
    { length: rows * time },
    () => seed && Math.max(0, (random.nextInteger() % (words + 6)) - 6),
  );
  const targets = new Float32Array(rows * 3);
  for (let row = 0; row < rows; row++) targets[row * 3 + (random.nextInteger() % 3)] = 1;
  return {
    features: [tf.tensor(tokens, [rows, time])],
    targets: [{ targets: float32Tensor(targets, [rows, 3]) }],
  };
}

const inner = (className: string, config: JsonObject = {}): Json =>
  layer(className, { name: className, units: 4, ...config });

const layers: Readonly<Record<string, readonly [className: string, config: JsonObject]>> = {
  "SimpleRNN from the last step to the first": ["SimpleRNN", { units: 5, go_backwards: true }],
  LSTM: ["LSTM", { units: 5 }],
  "GRU with dropout of inputs and states": ["GRU", { units: 5, dropout: 0.3, recurrent_dropout: 0.4 }],
  "both directions of a GRU": [
    "Bidirectional",
    { layer: inner("GRU", { dropout: 0.2 }), merge_mode: "concat" },
  ],
  "stacked cells": [
    "RNN",
    {
      cell: layer("StackedRNNCells", {
        name: "stack",
        cells: [inner("LSTMCell"), inner("GRUCell", { recurrent_dropout: 0.2 })],
      }),
    },
  ],
};

describe.runIf(isNative)("a training step with a recurrent layer as one graph", () => {
  test.each(Object.entries(layers))("moves weights as calls do: %s", async (_, [className, config]) => {
    const checkpoint = network(className, config);
    const batches = () => [1, 2, 2, 3].map(batchOf);
    const graph = await stepsOf("always", checkpoint, batches());
    expect(graph.graphs).toBe(1);
    expectClose(graph, await stepsOf("0", checkpoint, batches()));
    expect((await stepsOf("always", checkpoint, batches())).weights).toEqual(graph.weights);
  });

  test.each<readonly [string, JsonObject]>([
    ["LSTM", { units: 5, zero_output_for_mask: false }],
    ["GRU", { units: 5, go_backwards: true }],
    ["Bidirectional", { layer: inner("LSTM") }],
  ])("orders the steps that a mask hides without looking at it: %s", async (className, config) => {
    const checkpoint = network(className, config, true);
    const batches = () => [1, 0, 3].map(batchOf);
    const graph = await stepsOf("always", checkpoint, batches());
    expect(graph.graphs).toBe(1);
    expectClose(graph, await stepsOf("0", checkpoint, batches()));
  });

  test("names the layer whose table has no row for a token", async () => {
    process.env["KERAS_FINETUNE_GRAPH"] = "always";
    const tail = tailOf(network("GRU", { units: 3 }), {});
    const good = batchOf(1);
    await tail.trainOnBatch(good);
    expect(tail.graphs).toBe(1);
    const bad = { ...good, features: [tf.fill([rows, time], words)] };
    await expect(tail.trainOnBatch(bad)).rejects.toThrow(/^words: Embedding/);
    tf.dispose([...good.features, ...bad.features]);
    tail.dispose();
  });
});
