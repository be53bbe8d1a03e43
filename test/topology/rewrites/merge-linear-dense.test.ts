import { beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import type { LayerGraph } from "../../../src/topology/layer-graph.ts";
import type { RewriteOptions } from "../../../src/topology/rewrites/fold-batch-norm.ts";
import { mergeLinearDense } from "../../../src/topology/rewrites/merge-linear-dense.ts";
import {
  built,
  classNames,
  outputRefs,
  randomInputs,
  randomWeights,
  relativeDifference,
  valuesAt,
} from "./graph-maker.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const everything: RewriteOptions = { foldable: () => true, kept: [] };

/** Builds Dense layers `d0`, `d1`, … in a row on an input of shape `[N, ...shape]`. */
function row(shape: readonly number[], ...configs: readonly JsonObject[]): LayerGraph {
  return built((g) =>
    configs.reduce((x, config, at) => g.call(`d${at}`, "Dense", config, x), g.input([null, ...shape])),
  );
}

function merge(graph: LayerGraph, options = everything): ReturnType<typeof mergeLinearDense> {
  return mergeLinearDense(graph, randomWeights(graph, 3), options);
}

function difference(graph: LayerGraph, merged: ReturnType<typeof mergeLinearDense>): number {
  const inputs = randomInputs(graph, 4);
  const [before] = valuesAt(graph, randomWeights(graph, 3), inputs, outputRefs(graph));
  const [after] = valuesAt(merged.graph, merged.weights, inputs, outputRefs(merged.graph));
  tf.dispose(inputs);
  return relativeDifference(after!, before!);
}

describe("mergeLinearDense", () => {
  test.each([
    ["both biases", { units: 16 }, { units: 5 }],
    ["the first bias alone", { units: 16 }, { units: 5, use_bias: false }],
    ["the second bias alone", { units: 16, use_bias: false }, { units: 5 }],
    ["no bias", { units: 16, use_bias: false }, { units: 5, use_bias: false }],
    ["an activation after the second", { units: 16 }, { units: 5, activation: "softmax" }],
  ])("two Dense layers with %s become one", (_what, first, second) => {
    const graph = row([12], first, second);
    const merged = merge(graph);
    expect(classNames(merged.graph)).toEqual(["InputLayer", "Dense"]);
    expect(merged.graph.layers.map((layer) => layer.path)).toEqual(["input_0", "d1"]);
    expect(merged.weights.get("d1")!.map((weight) => weight.shape)).toEqual([[12, 5], [5]]);
    expect(difference(graph, merged)).toBeLessThan(1e-5);
  });

  test("Dense layers over the last of several axes are merged", () => {
    const graph = row([3, 4, 12], { units: 16 }, { units: 5 });
    const merged = merge(graph);
    expect(classNames(merged.graph)).toEqual(["InputLayer", "Dense"]);
    expect(difference(graph, merged)).toBeLessThan(1e-5);
  });

  test("a bottleneck, which costs less as two small products, stays", () => {
    const graph = row([100], { units: 4 }, { units: 100 });
    expect(merge(graph).graph).toBe(graph);
  });

  test("of three Dense layers in a row the pair that saves most is merged first", () => {
    const graph = row([100], { units: 4 }, { units: 100 }, { units: 3 });
    const merged = merge(graph);
    expect(merged.graph.layers.map((layer) => layer.path)).toEqual(["input_0", "d2"]);
    expect(merged.weights.get("d2")![0]!.shape).toEqual([100, 3]);
    expect(difference(graph, merged)).toBeLessThan(1e-5);
  });

  test("the given weights stay unchanged", () => {
    const graph = row([12], { units: 16 }, { units: 5 });
    const weights = randomWeights(graph, 3);
    const merged = mergeLinearDense(graph, weights, everything);
    expect([...merged.weights.keys()]).toEqual(["d1"]);
    expect(weights).toEqual(randomWeights(graph, 3));
  });

  test("Dense layers with an activation between them stay", () => {
    const graph = row([12], { units: 16, activation: "relu" }, { units: 5 });
    expect(merge(graph).graph).toBe(graph);
  });

  test("Dense layers stay if the caller excludes one of them", () => {
    const graph = row([12], { units: 16 }, { units: 5 });
    for (const fixed of ["d0", "d1"]) {
      expect(merge(graph, { ...everything, foldable: (path) => path !== fixed }).graph).toBe(graph);
    }
  });

  test("Dense layers stay if the tensor between them is kept, an output or read by others", () => {
    const graph = row([12], { units: 16 }, { units: 5 });
    expect(merge(graph, { ...everything, kept: [{ node: 1, output: 0 }] }).graph).toBe(graph);
    const both = {
      ...graph,
      outputs: [1, 2].map((node) => ({ name: `d${node}`, ref: { node, output: 0 } })),
    };
    expect(merge(both).graph).toBe(both);
    const readTwice = built((g) => {
      const x = g.call("d0", "Dense", { units: 16 }, g.input([null, 12]));
      return g.call("sum", "Add", {}, g.call("d1", "Dense", { units: 16 }, x), x);
    });
    expect(merge(readTwice).graph).toBe(readTwice);
  });

  test("a Dense layer that is called twice stays", () => {
    const graph = built((g) => {
      const x = g.input([null, 12]);
      const y = g.call("d1", "Dense", { units: 5 }, g.call("d0", "Dense", { units: 12 }, x));
      return g.call("sum", "Add", {}, y, g.again("d1", x));
    });
    expect(merge(graph).graph).toBe(graph);
  });
});
