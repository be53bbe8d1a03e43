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

describe("a config that makes no graph is refused naming the layer", () => {
  test("that reads a tensor of a layer that does not exist", () => {
    expect(messageOf(functional([input, layer("ReLU", "y", [from("ghost")])]))).toBe(
      'y: input: expected a tensor of a layer of the same model, got one of "ghost", which is none.',
    );
  });

  test("that reads a call that was never made", () => {
    expect(messageOf(functional([input, layer("ReLU", "y", [from("x", 3)])]))).toBe(
      "y: input: expected one of the 1 calls of x, got node 3.",
    );
  });

  test("that reads an output that is not there", () => {
    expect(messageOf(functional([input, layer("ReLU", "y", [from("x", 0, 1)])]))).toBe(
      "y: input: expected one of the 1 outputs of x, got 1.",
    );
  });

  test("that reads more outputs than a layer can have", () => {
    expect(
      messageOf(
        functional([input, layer("Mine", "a", [from("x")]), layer("ReLU", "y", [from("a", 0, 1e9)])]),
      ),
    ).toBe("a: outputs: expected a number from 0 to 1023, got 1000000000.");
  });

  test("that reads a layer which is never called", () => {
    expect(
      messageOf(functional([input, layer("ReLU", "idle", []), layer("ReLU", "y", [from("idle")])])),
    ).toBe("y: input: expected a tensor of a call of idle, which is never called.");
  });

  test("that stands on a cycle", () => {
    const layers = [
      input,
      layer("Add", "a", [from("x"), from("b")]),
      layer("ReLU", "b", [from("a")]),
      layer("ReLU", "y", [from("b")]),
    ];
    expect(messageOf(functional(layers))).toMatch(/^[ab]: input: expected a graph without cycles, got one/);
  });

  test("whose output_layers name nothing", () => {
    expect(messageOf(functional([input], "nowhere"))).toBe(
      'm: output_layers: input: expected a tensor of a layer of the same model, got one of "nowhere", which is none.',
    );
  });

  test("that stands in the model twice", () => {
    expect(
      messageOf(functional([input, layer("ReLU", "y", [from("x")]), layer("ReLU", "y", [from("x")])])),
    ).toBe("y: layer name: expected to be unique in its model, got it twice.");
  });

  test("whose config is no object", () => {
    const broken = { ...layer("ReLU", "y", [from("x")]), config: "relu" };
    expect(messageOf(functional([input, broken]))).toBe('y: config: expected an object, got "relu".');
  });

  test("without a class", () => {
    expect(messageOf(functional([input, { name: "y", config: {} }]))).toMatch(
      /^m: layers: expected each with a name and a class_name, got /,
    );
  });

  test("inside a nested model, by its path", () => {
    const inner = {
      ...functional([input, layer("ReLU", "y", [from("ghost")])]),
      name: "inner",
      inbound_nodes: [[from("x")]],
    };
    expect(messageOf(functional([input, inner], "inner"))).toMatch(/^inner\/y: input: expected a tensor/);
  });

  test("that has no parameters Keras would write", () => {
    const dense = layer("Dense", "y", [from("x")], { units: "many" });
    expect(messageOf(functional([input, dense]))).toBe(
      'y: units: expected a positive whole number, got "many". The config is not one that Keras writes.',
    );
  });

  test("that does not fit its input", () => {
    const conv = layer("Conv1D", "y", [from("x")], { filters: 2, kernel_size: [3] });
    expect(messageOf(functional([input, conv]))).toBe(
      "y: input: expected ndim=3, got ndim=4 with shape [None,8,8,3].",
    );
  });

  test("whose window is larger than its input", () => {
    const conv = layer("Conv2D", "y", [from("x")], { filters: 2, kernel_size: [9, 9] });
    expect(messageOf(functional([input, conv]))).toBe(
      "y: input: expected at least 9 positions for a window of 9, got 8. A larger image fits.",
    );
  });

  test("whose inputs do not merge", () => {
    const layers = [
      input,
      layer("MaxPooling2D", "half", [from("x")], { pool_size: [2, 2] }),
      layer("Add", "y", [from("x"), from("half")]),
    ];
    expect(messageOf(functional(layers))).toMatch(/^y: inputs: expected shapes that broadcast, got /);
  });

  test("that gets too few inputs for the model it is", () => {
    const inner = {
      ...functional([input, layer("ReLU", "y", [from("x")])]),
      name: "inner",
      inbound_nodes: [[from("x"), from("x")]],
    };
    expect(messageOf(functional([input, inner], "inner"))).toBe("inner: inputs: expected 1, got 2.");
  });
});

describe("a model that cannot be read is refused", () => {
  test("where it is not of layers", () => {
    expect(messageOf({ class_name: "MyModel", config: {} })).toMatch(
      /^model config: expected a Sequential or Functional model with its layers, got class "MyModel"/,
    );
  });

  test("where no Keras of that version exists", () => {
    expect(messageOf(functional([input]), "7.1")).toBe(
      'model config: Keras version: expected 1, 2 or 3, got "7.1".',
    );
  });

  test("where nothing tells a Sequential's input", () => {
    const modelConfig = { class_name: "Sequential", config: { name: "s", layers: [layer("ReLU", "y", [])] } };
    expect(messageOf(modelConfig)).toMatch(/^y_input: batch_shape: expected the model's input shape/);
  });

  test("where the number of channels is open", () => {
    const open = layer("InputLayer", "x", [], { batch_input_shape: [null, 8, 8, null] });
    const conv = layer("Conv2D", "y", [from("x")], { filters: 2, kernel_size: [3, 3] });
    expect(messageOf(functional([open, conv]))).toMatch(/^y: input: expected a known number of channels/);
  });
});

test("a chain of 20000 layers is no recursion", () => {
  const chain = Array.from({ length: 20_000 }, (_, index) =>
    layer("ReLU", `r${index}`, [from(index === 0 ? "x" : `r${index - 1}`)]),
  );
  const modelConfig = functional([input, ...chain.reverse()], "r19999");
  expect(layerGraph({ modelConfig, kerasVersion: "2.15.0" }).nodes).toHaveLength(20_001);
});
