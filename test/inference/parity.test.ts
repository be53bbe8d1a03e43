import { beforeAll, describe, expect, test } from "vitest";
import { useEngine } from "../../src/engine/backend.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { comparePredictions } from "../../src/inference/parity.ts";
import { probeInputs } from "../../src/inference/probe.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { modelPath } from "../formats/model-fixtures.ts";

beforeAll(() => useEngine(process.env["KERAS_FINETUNE_ENGINE"] === "native" ? "native" : "wasm"));

describe("a probe", () => {
  test("of a model that begins with an Embedding has whole numbers that it has rows for", async () => {
    const [input] = probeInputs(layerGraph(await readCheckpoint(modelPath("k3-text.keras"))))!;
    const values = [...(input!.data as Float32Array)];
    expect(values.every((value) => Number.isInteger(value) && value >= 0)).toBe(true);
    expect(new Set(values).size).toBeGreaterThan(2);
  });

  test("is the same at each call", async () => {
    const graph = layerGraph(await readCheckpoint(modelPath("k3-text.keras")));
    expect(probeInputs(graph)).toEqual(probeInputs(graph));
  });
});

test("a model predicts what it predicts itself, and something else once a weight has moved", async () => {
  const checkpoint = await readCheckpoint(modelPath("k3-text.keras"));
  expect(await comparePredictions(checkpoint, checkpoint)).toMatchObject({ samples: 2, maxDifference: 0 });
  const weights = new Map(checkpoint.weights);
  const [path, [first, ...others]] = [...weights][0]!;
  weights.set(path, [
    { ...first!, data: Float32Array.from(first!.data as Float32Array, (value) => value + 1) },
    ...others,
  ]);
  const moved = await comparePredictions(checkpoint, { ...checkpoint, weights });
  expect(moved!.maxDifference).toBeGreaterThan(1e-3);
});
