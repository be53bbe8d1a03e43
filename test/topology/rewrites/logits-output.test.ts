import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "../../../src/topology/layer-graph.ts";
import { layerAt } from "../../../src/topology/layer-graph.ts";
import { withLogitsOutputs } from "../../../src/topology/rewrites/logits-output.ts";

type Step = readonly [
  name: string,
  className: string,
  shape: readonly (number | null)[],
  config?: JsonObject,
];

/** Returns the graph of layers that are called in sequence. */
function chain(...steps: readonly Step[]): LayerGraph {
  const layers = steps.map(
    ([name, className, , config], index): GraphLayer => ({
      path: name,
      name,
      className,
      config: { name, ...config },
      keras: 3,
      trainable: true,
      containers: [],
      index,
    }),
  );
  const nodes = steps.map(([name, , shape], index): GraphNode => {
    const inputs = index === 0 ? [] : [{ node: index - 1, output: 0 }];
    return {
      index,
      layer: name,
      args: inputs.map((ref) => ({ kind: "tensor", ref })),
      kwargs: {},
      inputs,
      outputs: [{ shape, dtype: "float32" }],
    };
  });
  return {
    name: "model",
    layers,
    nodes,
    inputs: [{ name: steps[0]![0], ref: { node: 0, output: 0 } }],
    outputs: [{ name: steps.at(-1)![0], ref: { node: steps.length - 1, output: 0 } }],
  };
}

const input: Step = ["in", "InputLayer", [null, 4]];
const dense: Step = ["fc", "Dense", [null, 3], { units: 3, activation: "linear" }];

function activationAt(graph: LayerGraph, path: string): unknown {
  return layerAt(graph, path).config["activation"];
}

/** Returns the graph up to its logits, with the activation that was removed from its first output. */
function withLogitsOutput(graph: LayerGraph) {
  const { graph: changed, outputs } = withLogitsOutputs(graph);
  return { graph: changed, activation: outputs[0]!.activation };
}

describe("withLogitsOutputs", () => {
  test.each(["softmax", "sigmoid"] as const)(
    "a %s of the last Dense is reported and removed, and the given graph does not change",
    (name) => {
      const graph = chain(input, ["fc", "Dense", [null, 3], { units: 3, activation: name }]);
      const logits = withLogitsOutput(graph);
      expect(logits.activation).toBe(name);
      expect(activationAt(logits.graph, "fc")).toBe("linear");
      expect(activationAt(graph, "fc")).toBe(name);
      expect(logits.graph.nodes).toBe(graph.nodes);
    },
  );

  test("a function object as Keras 3 writes it counts as its name", () => {
    const activation = {
      module: "builtins",
      class_name: "function",
      config: "softmax",
      registered_name: "function",
    };
    const graph = chain(input, ["fc", "Dense", [null, 3], { activation }]);
    expect(withLogitsOutput(graph).activation).toBe("softmax");
  });

  test("an Activation layer at the end becomes linear", () => {
    const logits = withLogitsOutput(
      chain(input, dense, ["act", "Activation", [null, 3], { activation: "softmax" }]),
    );
    expect(logits.activation).toBe("softmax");
    expect(activationAt(logits.graph, "act")).toBe("linear");
  });

  test.each([-1, 1, [-1]])(
    "a Softmax layer over the last axis, written %j, becomes a linear Activation",
    (axis) => {
      const logits = withLogitsOutput(chain(input, dense, ["soft", "Softmax", [null, 3], { axis }]));
      expect(logits.activation).toBe("softmax");
      expect(layerAt(logits.graph, "soft")).toMatchObject({
        className: "Activation",
        config: { activation: "linear" },
      });
    },
  );

  test("a Softmax over another axis stays", () => {
    const graph = chain(["in", "InputLayer", [null, 5, 3]], ["soft", "Softmax", [null, 5, 3], { axis: 1 }]);
    expect(withLogitsOutput(graph)).toEqual({ graph, activation: "none" });
  });

  test("MobileNet's softmax before the last Reshape is removed", () => {
    const logits = withLogitsOutput(
      chain(
        ["in", "InputLayer", [null, 1, 1, 8]],
        ["conv_preds", "Conv2D", [null, 1, 1, 3], { activation: "linear" }],
        ["act_softmax", "Activation", [null, 1, 1, 3], { activation: "softmax" }],
        ["reshape_2", "Reshape", [null, 3], { target_shape: [3] }],
      ),
    );
    expect(logits.activation).toBe("softmax");
    expect(activationAt(logits.graph, "act_softmax")).toBe("linear");
  });

  test("before a Reshape that mixes classes a softmax stays and a sigmoid is removed", () => {
    const steps = (activation: string): Step[] => [
      ["in", "InputLayer", [null, 2, 8]],
      ["fc", "Dense", [null, 2, 3], { activation }],
      ["flat", "Flatten", [null, 6]],
    ];
    expect(withLogitsOutput(chain(...steps("softmax"))).activation).toBe("none");
    expect(withLogitsOutput(chain(...steps("sigmoid"))).activation).toBe("sigmoid");
  });

  test("a linear or relu output keeps its activation", () => {
    for (const activation of ["linear", "relu"]) {
      const graph = chain(input, ["fc", "Dense", [null, 3], { activation }]);
      expect(withLogitsOutput(graph)).toEqual({ graph, activation: "none" });
    }
  });

  test("an output with an activity regularizer keeps its softmax", () => {
    const graph = chain(input, [
      "fc",
      "Dense",
      [null, 3],
      { activation: "softmax", activity_regularizer: "l2" },
    ]);
    expect(withLogitsOutput(graph).activation).toBe("none");
  });

  test("a softmax whose output another layer reads stays", () => {
    const graph = chain(
      input,
      ["fc", "Dense", [null, 3], { activation: "softmax" }],
      ["id", "Identity", [null, 3]],
    );
    const twoOutputs = { ...graph, outputs: [...graph.outputs, { name: "fc", ref: { node: 1, output: 0 } }] };
    const readTwice = { ...graph, outputs: [{ name: "fc", ref: { node: 1, output: 0 } }] };
    expect(withLogitsOutput(graph).activation).toBe("softmax");
    expect(withLogitsOutput(twoOutputs).activation).toBe("none");
    expect(withLogitsOutput(readTwice).activation).toBe("none");
  });

  test("each of two outputs loses its own softmax unless its call may not change", () => {
    const graph = chain(input, dense, ["a", "Softmax", [null, 3]], ["b", "Softmax", [null, 3]]);
    const reads = [{ node: 1, output: 0 }];
    const heads = {
      ...graph,
      nodes: graph.nodes.map((node) =>
        node.index === 3
          ? { ...node, inputs: reads, args: [{ kind: "tensor" as const, ref: reads[0]! }] }
          : node,
      ),
      outputs: [2, 3].map((node) => ({ name: String(node), ref: { node, output: 0 } })),
    };
    const taken = { activation: "softmax", carried: "softmax" };
    const kept = { activation: "none", carried: "softmax" };
    expect(withLogitsOutputs(heads).outputs).toEqual([taken, taken]);
    expect(withLogitsOutputs(heads, (node) => node.index === 3).outputs).toEqual([kept, taken]);
  });

  test("an output is carried by the activation that returns it, not by one before a Reshape", () => {
    const softmax: Step = ["fc", "Dense", [null, 1, 3], { activation: "softmax" }];
    const reshaped = chain(["in", "InputLayer", [null, 1, 4]], softmax, ["out", "Reshape", [null, 3]]);
    expect(withLogitsOutputs(reshaped).outputs).toEqual([{ activation: "softmax", carried: "none" }]);
    const passed = chain(["in", "InputLayer", [null, 1, 4]], softmax, ["out", "Identity", [null, 1, 3]]);
    expect(withLogitsOutputs(passed).outputs).toEqual([{ activation: "softmax", carried: "softmax" }]);
  });

  test("a softmax layer called twice stays", () => {
    const graph = chain(input, ["fc", "Dense", [null, 4], { activation: "softmax" }], dense);
    const shared = {
      ...graph,
      nodes: graph.nodes.map((node) => (node.index === 2 ? { ...node, layer: "fc" } : node)),
    };
    expect(withLogitsOutput(shared).activation).toBe("none");
  });
});
