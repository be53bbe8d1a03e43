import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { GraphNode, LayerGraph } from "../../src/topology/layer-graph.ts";
import { graphFixture } from "./graph-fixtures.ts";

const keras3 = "keras-3.15.1-nets.json.gz";
const keras2 = "keras-2.15.0-nets.json.gz";

function nodeOf(graph: LayerGraph, path: string): GraphNode {
  return graph.nodes.find((node) => node.layer === path)!;
}

describe("arguments of calls", () => {
  test.each([keras3, keras2])("a training argument belongs to its call (%s)", (file) => {
    const graph = layerGraph(graphFixture(file, "training argument"));
    expect(nodeOf(graph, "always").kwargs["training"]).toEqual({ kind: "value", value: true });
  });

  test("layers of a nested model inherit its training argument unless they have their own", () => {
    const graph = layerGraph(graphFixture(keras3, "ops: arithmetic"));
    const inner = graph.nodes.filter((node) => node.layer.startsWith("base/"));
    expect(inner.map((node) => node.kwargs["training"])).toEqual(
      inner.map(() => ({ kind: "value", value: false })),
    );
    expect(nodeOf(graph, "multiply").kwargs).toEqual({});
  });

  test("constant arguments of an operation keep their positions among its operands", () => {
    const graph = layerGraph(graphFixture(keras3, "ops: arithmetic"));
    const { args, inputs } = nodeOf(graph, "subtract");
    expect(args).toEqual([
      { kind: "value", value: 1 },
      { kind: "tensor", ref: inputs[0] },
    ]);
  });

  test("several tensors form one list argument in Keras 2 and Keras 3", () => {
    for (const file of [keras3, keras2]) {
      const { args, inputs } = nodeOf(layerGraph(graphFixture(file, "nested Functional")), "sum");
      expect(args).toEqual([{ kind: "list", items: inputs.map((ref) => ({ kind: "tensor", ref })) }]);
    }
  });

  test("masks and initial states are arguments but not inputs", () => {
    const tensor = (layer: string): Json => ({
      class_name: "__keras_tensor__",
      config: { shape: [null, 4], dtype: "float32", keras_history: [layer, 0, 0] },
    });
    const input = (name: string): JsonObject => ({
      class_name: "InputLayer",
      name,
      config: { name, batch_shape: name === "x" ? [null, 5, 4] : [null, 4], dtype: "float32" },
      inbound_nodes: [],
    });
    const kwargs = { mask: tensor("m"), initial_state: [tensor("h"), tensor("c")], other: tensor("o") };
    const recurrent = {
      class_name: "LSTM",
      name: "y",
      config: { name: "y", trainable: true, units: 4 },
      inbound_nodes: [{ args: [tensor("x")], kwargs }],
    };
    const names = ["x", "m", "h", "c", "o"];
    const modelConfig = {
      class_name: "Functional",
      config: {
        name: "model",
        trainable: true,
        layers: [...names.map(input), recurrent],
        input_layers: names.map((name) => [name, 0, 0]),
        output_layers: ["y", 0, 0],
      },
    };
    const graph = layerGraph({ modelConfig, kerasVersion: "3.15.1" });
    const node = nodeOf(graph, "y");
    expect(node.inputs).toEqual([
      { node: 0, output: 0 },
      { node: 4, output: 0 },
    ]);
    expect(node.kwargs["mask"]).toEqual({ kind: "tensor", ref: { node: 1, output: 0 } });
    expect(node.kwargs["initial_state"]).toMatchObject({ kind: "list", items: [{}, {}] });
  });
});

describe("layers of a graph", () => {
  test("a layer lists the nested models that contain it, outermost first", () => {
    const graph = layerGraph(graphFixture(keras2, "nested three deep"));
    const deepest = graph.layers.find((layer) => layer.path === "mid/low/point")!;
    expect(deepest.containers).toEqual(["mid", "mid/low"]);
    expect(graph.layers.map((layer) => layer.index)).toEqual(graph.layers.map((_, index) => index));
  });

  test("class names and arguments are those of Keras 3 whichever version wrote the file", () => {
    const layers = "keras-2.15.0-layers.json.gz";
    const leaky = layerGraph(graphFixture(layers, "LeakyReLU(alpha=0.1) on [12, 10, 6]")).layers[1]!;
    expect(leaky.config).toMatchObject({ negative_slope: expect.closeTo(0.1, 6) });
    expect(leaky.config).not.toHaveProperty("alpha");
    expect(leaky.keras).toBe(2);
    const norm = layerGraph(graphFixture(layers, "BatchNormalization(axis=1) on [12, 10, 6]")).layers[1]!;
    expect(norm.config["axis"]).toBe(1);
  });

  test("configs from .keras and .h5 are equal", () => {
    const configs = ["nested Functional", "nested Functional (h5)"].map((name) =>
      layerGraph(graphFixture(keras3, name)).layers.map((layer) => [layer.className, layer.config["dtype"]]),
    );
    expect(configs[0]).toEqual(configs[1]);
  });
});
