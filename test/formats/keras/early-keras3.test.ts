import { expect, test } from "vitest";
import type { Checkpoint, JsonObject } from "../../../src/checkpoint.ts";
import { readCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { writingWarnings } from "../../../src/formats/formats.ts";
import { forEarlyKeras3 } from "../../../src/formats/keras/format.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";
import { modelPath } from "../model-fixtures.ts";

async function read(file: string) {
  return readCheckpoint(modelPath(file));
}

test("a model of one input and one output has lists of one in the form of Keras 3.0", async () => {
  const ends = (checkpoint: Checkpoint) => {
    const { input_layers, output_layers } = checkpoint.modelConfig["config"] as JsonObject;
    return JSON.stringify([input_layers, output_layers]).replace(/input_layer\w*/, "input_layer");
  };
  expect(ends(forEarlyKeras3(await read("k3-residual.keras")))).toBe(ends(await read("k30-residual.keras")));
  expect(ends(await read("k3-residual.keras"))).not.toBe(ends(await read("k30-residual.keras")));
});

test("the form of Keras 3.0 has the same layers, weights and order, in nested models too", async () => {
  for (const file of ["k3-nested-partly.keras", "k215-nested-partly.h5", "k122-nested.h5"]) {
    const checkpoint = await read(file);
    const early = forEarlyKeras3(checkpoint);
    expect(early.weights).toEqual(checkpoint.weights);
    const paths = layerGraph(early).layers.map(({ path }) => path);
    expect(new Set(paths)).toEqual(new Set(layerGraph(checkpoint).layers.map(({ path }) => path)));
    expect(layerGraph(forEarlyKeras3(early))).toEqual(layerGraph(early));
  }
});

test("arguments unknown to Keras 3.0 are left out if they have no effect, and the config is what 3.0 writes", async () => {
  const config = JSON.stringify(forEarlyKeras3(await read("k3-translation.keras")).modelConfig);
  for (const later of ["quantization_config", "DTypePolicy", "optional", "input_axes", '"Orthogonal"']) {
    expect(JSON.stringify((await read("k3-translation.keras")).modelConfig)).toContain(later);
    expect(config).not.toContain(later);
  }
});

test.each([
  ["k3-pipeline.keras", /^prepare: Keras 3\.0 has no Pipeline/],
  ["k3-video.keras", /: Keras 3\.0 fails to open a model inside a layer/],
  ["k3-int8.keras", /^words: Keras 3\.0 has no argument quantization_config of Embedding/],
  ["k3-more-operations.keras", /^get_item: Keras 3\.0 fails to open an index over several axes/],
  ["k30-shapes.keras", /^conv2d: Keras 3\.0 fails to open a layer as activation/],
  [
    "k215-shared.h5",
    /^shared_dense: Keras 3\.0 fails to open a layer that is called both before and after flatten_3/,
  ],
  ["k215-film.h5", /^stack: Keras 3\.0 fails to open stacked cells that return their states/],
  [
    "k215-nested-sequential.h5",
    /^middle\/deep: Keras 3\.0 fails to open a functional model inside a Sequential model/,
  ],
])("%s is refused by layer name", async (file, message) => {
  const checkpoint = await read(file);
  expect(() => forEarlyKeras3(checkpoint)).toThrow(message);
});

test("a warning names masks that another release of Keras 3 passes on differently, in both directions", async () => {
  const [later] = writingWarnings(await read("k30-hidden-steps.keras"), "keras");
  expect(later).toMatch(
    /differently in Keras 3\.15\.1 than in Keras 3\.0\.5: .*propagated no mask and now propagates one/,
  );
  const [early] = writingWarnings(await read("k3-hidden-steps.keras"), "keras", "early");
  expect(early).toMatch(
    /differently in Keras 3\.0 than in Keras 3\.15\.1: .*propagated its mask and now propagates none/,
  );
  expect(writingWarnings(await read("k30-hidden-steps.keras"), "keras", "early")).toEqual([]);
  expect(writingWarnings(await read("k3-hidden-steps.keras"), "keras")).toEqual([]);
});
