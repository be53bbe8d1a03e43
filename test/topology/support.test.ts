import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { TopologyError } from "../../src/errors.ts";
import { activationNames as computedActivations } from "../../src/layers/activation-functions.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { activationNames } from "../../src/topology/specs/activation.ts";
import { requireSupported, unsupportedLayers } from "../../src/topology/support.ts";
import { graphFixture } from "./graph-fixtures.ts";

const configs = JSON.parse(
  readFileSync(new URL("../../fixtures/graphs/unsupported.json", import.meta.url), "utf8"),
) as Record<"keras" | "h5", JsonObject>;

describe("a model with unsupported layers", () => {
  const graph = layerGraph({ modelConfig: configs.keras, kerasVersion: "3.15.1" });

  test("the model has a graph with unknown shapes after the unsupported layers", () => {
    expect(graph.nodes.at(-1)!.outputs.map(({ shape }) => shape)).toEqual([null, null]);
    expect(graph.layers).toHaveLength(8);
  });

  test("one error lists all unsupported layers by path", () => {
    expect(() => requireSupported(graph)).toThrow(TopologyError);
    expect(unsupportedLayers(graph).map(({ path, className }) => `${path} ${className}`)).toEqual([
      "nested/twice Lambda",
      "nested/mine __main__>Mine",
      "nested/registered pack>Registered",
      "nested/not_ours __main__>Dense",
      "nested/bent Dense",
    ]);
    expect(() => requireSupported(graph)).toThrow(
      /^outer: layers: expected all to be computable without Python, got 5 that are not:\n/,
    );
    expect(() => requireSupported(graph)).toThrow(
      '\n  nested/bent (Dense): its activation "Custom>bent" is not in keras.activations. Replace it',
    );
  });

  test("unsupported layers are found in .h5, where only the registered name marks a custom class", () => {
    const paths = unsupportedLayers(layerGraph({ modelConfig: configs.h5, kerasVersion: "3.15.1" }));
    expect(paths.map(({ path, className }) => `${path} ${className}`)).toEqual([
      "nested/twice Lambda",
      "nested/mine Mine",
      "nested/registered pack>Registered",
      "nested/bent Dense",
    ]);
  });
});

test("a model of Keras layers only is supported", () => {
  expect(() =>
    requireSupported(layerGraph(graphFixture("keras-2.15.0-ResNet50.json.gz", "ResNet50"))),
  ).not.toThrow();
});

test("every supported activation can be computed", () => {
  const computed = new Set(computedActivations());
  expect([...activationNames].filter((name) => !computed.has(name))).toEqual([]);
});

describe("arguments with which a layer is not supported", () => {
  const inside = (class_name: string, config: JsonObject): JsonObject => ({ class_name, config });
  const refusalOf = (class_name: string, config: JsonObject): string => {
    const input = {
      class_name: "InputLayer",
      config: { name: "x", batch_shape: [2, 5, 3], dtype: "float32" },
    };
    const layer = { class_name, module: "keras.layers", config: { name: "y", ...config } };
    const modelConfig = {
      class_name: "Sequential",
      config: { name: "model", layers: [input, layer] },
    };
    const graph = layerGraph({ modelConfig, kerasVersion: "3.15.1" });
    return unsupportedLayers(graph)
      .map(({ path, reason }) => `${path}: ${reason}`)
      .join();
  };

  test.each([
    ["LSTM", { units: 4, stateful: true }, "y: it is stateful: its output for a batch"],
    ["Bidirectional", { layer: inside("GRU", { units: 4, stateful: true }) }, "y: it is stateful"],
    ["GRU", { units: 4, time_major: true }, "y: it is time_major"],
    ["RNN", { cell: inside("MyCell", { units: 4 }) }, "y: its cell MyCell is not one of Keras's"],
    [
      "RNN",
      { cell: inside("StackedRNNCells", { cells: [inside("MyCell", {})] }) },
      "y: its cell StackedRNNCells is not one",
    ],
    [
      "TimeDistributed",
      { layer: inside("Functional", { layers: [] }) },
      "y: it is a model without its layers",
    ],
    ["TimeDistributed", { layer: inside("Lambda", {}) }, "y: the layer inside, Lambda, is unknown"],
    [
      "TimeDistributed",
      { layer: inside("Dense", { units: 2, activation: "mine" }) },
      'y: its activation "mine" is not in keras.activations',
    ],
    [
      "Dense",
      { units: 2, activation: inside("PReLU", {}) },
      "y: its activation is a PReLU layer with weights of its own",
    ],
    [
      "Dense",
      { units: 2, activation: inside("Dropout", { rate: 0.5 }) },
      "y: its activation is a Dropout layer",
    ],
    [
      "LSTM",
      { units: 2, recurrent_activation: "mine" },
      'y: its activation "mine" is not in keras.activations',
    ],
  ])("%s with %j is refused", (className, config, expected) => {
    expect(refusalOf(className, config as JsonObject)).toContain(expected);
  });

  test("the same layers with other arguments are supported", () => {
    expect(refusalOf("LSTM", { units: 4, unroll: true, go_backwards: true })).toBe("");
    expect(refusalOf("TimeDistributed", { layer: inside("Dense", { units: 2 }) })).toBe("");
  });
});
