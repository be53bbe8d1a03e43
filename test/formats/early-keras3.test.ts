import { expect, test } from "vitest";
import type { Checkpoint, JsonObject } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { forEarlyKeras3 } from "../../src/formats/early-keras3.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { modelPath } from "./model-fixtures.ts";

async function read(file: string) {
  return readCheckpoint(modelPath(file));
}

test("a model of one input and one output has them in lists, as Keras 3.0 writes them", async () => {
  const ends = (checkpoint: Checkpoint) => {
    const { input_layers, output_layers } = checkpoint.modelConfig["config"] as JsonObject;
    return JSON.stringify([input_layers, output_layers]).replace(/input_layer\w*/, "input_layer");
  };
  expect(ends(forEarlyKeras3(await read("k3-residual.keras")))).toBe(ends(await read("k30-residual.keras")));
  expect(ends(await read("k3-residual.keras"))).not.toBe(ends(await read("k30-residual.keras")));
});

test("the model is the same: nested ones, weights, order", async () => {
  for (const file of ["k3-nested-partly.keras", "k215-nested-partly.h5", "k122-nested.h5"]) {
    const checkpoint = await read(file);
    const early = forEarlyKeras3(checkpoint);
    expect(early.weights).toEqual(checkpoint.weights);
    const paths = layerGraph(early).layers.map(({ path }) => path);
    expect(new Set(paths)).toEqual(new Set(layerGraph(checkpoint).layers.map(({ path }) => path)));
    expect(layerGraph(forEarlyKeras3(early))).toEqual(layerGraph(early));
  }
});
