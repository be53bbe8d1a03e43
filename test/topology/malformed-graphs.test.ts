import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import { TopologyError } from "../../src/errors.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";

function layer(
  className: string,
  name: string,
  inputs: readonly Json[],
  config: JsonObject = {},
): JsonObject {
  return {
    class_name: className,
    name,
    config: { name, trainable: true, ...config },
    inbound_nodes: inputs.length > 0 ? [inputs] : [],
  };
}

const input = layer("InputLayer", "x", [], { batch_input_shape: [null, 8, 8, 3], dtype: "float32" });
const from = (name: string, node: Json = 0, output: Json = 0): Json => [name, node, output, {}];

function functional(layers: readonly Json[], output: Json = "y"): JsonObject {
  return {
    class_name: "Functional",
    config: { name: "m", layers, input_layers: [["x", 0, 0]], output_layers: [[output, 0, 0]] },
  };
}

function messageOf(modelConfig: JsonObject, kerasVersion = "2.15.0"): string {
  try {
    weightSpecsOf(layerGraph({ modelConfig, kerasVersion }));
  } catch (error) {
    if (error instanceof TopologyError) return error.message;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("an invalid config is refused by the name of the layer", () => {
  test("a layer that reads from a layer that does not exist is refused", () => {
    expect(messageOf(functional([input, layer("ReLU", "y", [from("ghost")])]))).toBe(
      'y: input: expected an output of a layer of the same model, got one of "ghost", which does not exist.',
    );
  });

  test("a layer that reads from a call that does not exist is refused", () => {
    expect(messageOf(functional([input, layer("ReLU", "y", [from("x", 3)])]))).toBe(
      "y: input: expected one of the 1 calls of x, got node 3.",
    );
  });

  test("a layer that reads an output that does not exist is refused", () => {
    expect(messageOf(functional([input, layer("ReLU", "y", [from("x", 0, 1)])]))).toBe(
      "y: input: expected one of the 1 outputs of x, got output 1.",
    );
  });

  test("a layer that reads more outputs than a layer can have is refused", () => {
    expect(
      messageOf(
        functional([input, layer("Mine", "a", [from("x")]), layer("ReLU", "y", [from("a", 0, 1e9)])]),
      ),
    ).toBe("a: outputs: expected an index from 0 to 1023, got 1000000000.");
  });

  test("a layer that reads from a layer that is never called is refused", () => {
    expect(
      messageOf(functional([input, layer("ReLU", "idle", []), layer("ReLU", "y", [from("idle")])])),
    ).toBe("y: input: expected an output of a called layer, got one of idle, which is never called.");
  });

  test("a layer on a cycle is refused", () => {
    const layers = [
      input,
      layer("Add", "a", [from("x"), from("b")]),
      layer("ReLU", "b", [from("a")]),
      layer("ReLU", "y", [from("b")]),
    ];
    expect(messageOf(functional(layers))).toMatch(
      /^[ab]: input: expected a graph without cycles, got a cycle/,
    );
  });

  test("output_layers that name no layer are refused", () => {
    expect(messageOf(functional([input], "nowhere"))).toBe(
      'm: output_layers: input: expected an output of a layer of the same model, got one of "nowhere", which does not exist.',
    );
  });

  test("two layers with the same name are refused", () => {
    expect(
      messageOf(functional([input, layer("ReLU", "y", [from("x")]), layer("ReLU", "y", [from("x")])])),
    ).toBe("y: layer name: expected to be unique in its model, got it twice.");
  });

  test("a layer whose config is not an object is refused", () => {
    const broken = { ...layer("ReLU", "y", [from("x")]), config: "relu" };
    expect(messageOf(functional([input, broken]))).toBe('y: config: expected an object, got "relu".');
  });

  test("a layer without a class name is refused", () => {
    expect(messageOf(functional([input, { name: "y", config: {} }]))).toMatch(
      /^m: layers: expected each with a name and a class_name, got /,
    );
  });

  test("a layer inside a nested model is refused by its path", () => {
    const inner = {
      ...functional([input, layer("ReLU", "y", [from("ghost")])]),
      name: "inner",
      inbound_nodes: [[from("x")]],
    };
    expect(messageOf(functional([input, inner], "inner"))).toMatch(/^inner\/y: input: expected an output/);
  });

  test("an argument that Keras would not write is refused", () => {
    const dense = layer("Dense", "y", [from("x")], { units: "many" });
    expect(messageOf(functional([input, dense]))).toBe(
      'y: units: expected a positive integer, got "many". The config was not written by Keras.',
    );
  });

  test("a layer that does not fit the rank of its input is refused", () => {
    const conv = layer("Conv1D", "y", [from("x")], { filters: 2, kernel_size: [3] });
    expect(messageOf(functional([input, conv]))).toBe(
      "y: input: expected ndim=3, got ndim=4 with shape [None,8,8,3].",
    );
  });

  test("a window that is larger than its input is refused", () => {
    const conv = layer("Conv2D", "y", [from("x")], { filters: 2, kernel_size: [9, 9] });
    expect(messageOf(functional([input, conv]))).toBe(
      "y: input: expected at least 9 positions for a window of 9, got 8. Use a larger image.",
    );
  });

  test("inputs that cannot be merged are refused", () => {
    const layers = [
      input,
      layer("MaxPooling2D", "half", [from("x")], { pool_size: [2, 2] }),
      layer("Add", "y", [from("x"), from("half")]),
    ];
    expect(messageOf(functional(layers))).toMatch(/^y: inputs: expected shapes that broadcast, got /);
  });

  test("a nested model called with the wrong number of inputs is refused", () => {
    const inner = {
      ...functional([input, layer("ReLU", "y", [from("x")])]),
      name: "inner",
      inbound_nodes: [[from("x"), from("x")]],
    };
    expect(messageOf(functional([input, inner], "inner"))).toBe("inner: inputs: expected 1, got 2.");
  });
});

describe("a model that cannot be read is refused", () => {
  test("a subclassed model is refused", () => {
    expect(messageOf({ class_name: "MyModel", config: {} })).toMatch(
      /^model config: expected a Sequential or Functional model with its layers, got class "MyModel"/,
    );
  });

  test("a version of Keras that does not exist is refused", () => {
    expect(messageOf(functional([input]), "7.1")).toBe(
      'model config: Keras version: expected 1, 2 or 3, got "7.1".',
    );
  });

  test("a Sequential whose input shape is unknown is refused", () => {
    const modelConfig = { class_name: "Sequential", config: { name: "s", layers: [layer("ReLU", "y", [])] } };
    expect(messageOf(modelConfig)).toMatch(/^y_input: batch_shape: expected the model's input shape/);
  });

  test("a convolution over an unknown number of channels is refused", () => {
    const open = layer("InputLayer", "x", [], { batch_input_shape: [null, 8, 8, null] });
    const conv = layer("Conv2D", "y", [from("x")], { filters: 2, kernel_size: [3, 3] });
    expect(messageOf(functional([open, conv]))).toMatch(/^y: input: expected a known number of channels/);
  });
});

test("a chain of 20000 layers is read without recursion", () => {
  const chain = Array.from({ length: 20_000 }, (_, index) =>
    layer("ReLU", `r${index}`, [from(index === 0 ? "x" : `r${index - 1}`)]),
  );
  const modelConfig = functional([input, ...chain.reverse()], "r19999");
  expect(layerGraph({ modelConfig, kerasVersion: "2.15.0" }).nodes).toHaveLength(20_001);
});
