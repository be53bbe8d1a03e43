import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Checkpoint } from "../../../src/checkpoint.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { layerGraph } from "../../../src/topology/build-graph.ts";
import { scratch } from "../../hdf5/temporary.ts";
import { modelPath, modelRecords } from "../model-fixtures.ts";

async function rewritten(checkpoint: Checkpoint): Promise<Checkpoint> {
  const path = join(scratch(), "model.h5");
  await writeCheckpoint(path, checkpoint);
  return readCheckpoint(path);
}

function classes(checkpoint: Checkpoint): Record<string, string> {
  return Object.fromEntries(layerGraph(checkpoint).layers.map(({ path, className }) => [path, className]));
}

describe.each(modelRecords().filter(([, { keras }]) => keras === "1.2.2"))("%s", (file) => {
  test("is written as .h5 of Keras 2 with the same layers and weights, and is not changed by writing it again", async () => {
    const checkpoint = await readCheckpoint(modelPath(file));
    const written = await rewritten(checkpoint);
    expect(written.kerasVersion).toBe("2.2.4");
    expect(classes(written)).toEqual(classes(checkpoint));
    expect(written.weights).toEqual(checkpoint.weights);
    expect(await rewritten(written)).toEqual(written);
  });
});

/** A layer's weights by name with their shapes. */
async function shapesIn(file: string, layer: string): Promise<Record<string, readonly number[]>> {
  const { weights } = await readCheckpoint(modelPath(file), { weights: false });
  return Object.fromEntries(weights.get(layer)!.map(({ name, shape }) => [name, shape]));
}

test("the separate gates of Keras 1 are joined to one kernel, one recurrent kernel and one bias", async () => {
  const shapes = await shapesIn("k122-text.h5", "summary");
  expect(Object.values(shapes)).toEqual([[3, 15], [5, 15], [15]]);
});

test("a kernel of filters, channels, rows, columns is read as rows, columns, channels, filters", async () => {
  expect(Object.values(await shapesIn("k122-channels-first.h5", "conv"))).toEqual([[3, 3, 3, 6], [6]]);
});

test("a Sequential that begins with a Merge is read as a functional model of all branches' layers", async () => {
  const graph = layerGraph(await readCheckpoint(modelPath("k122-branches.h5")));
  const paths = graph.layers.map(({ path }) => path);
  expect(paths).toEqual(expect.arrayContaining(["first", "second", "third", "inner_merge", "fourth", "top"]));
});
