import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import type { LayerGraph } from "../../../src/topology/layer-graph.ts";
import { layerAt } from "../../../src/topology/layer-graph.ts";
import { foldActivations } from "../../../src/topology/rewrites/fold-activation.ts";
import type { RewriteOptions } from "../../../src/topology/rewrites/fold-batch-norm.ts";
import { built, classNames } from "./graph-maker.ts";

const everything: RewriteOptions = { foldable: () => true, kept: [] };

function followedBy(className: string, config: JsonObject, conv: JsonObject = {}): LayerGraph {
  return built((g) =>
    g.call(
      "act",
      className,
      config,
      g.call("conv", "Conv2D", { filters: 2, kernel_size: 1, ...conv }, g.input([null, 4, 4, 2])),
    ),
  );
}

describe("foldActivations", () => {
  test.each([
    ["ReLU", {}, "relu"],
    ["ReLU", { max_value: 6 }, "relu6"],
    ["ELU", { alpha: 1 }, "elu"],
    ["LeakyReLU", { negative_slope: 0.2 }, "leaky_relu"],
    ["Activation", { activation: "swish" }, "swish"],
    ["ops.Relu6", {}, "relu6"],
    ["ops.Silu", {}, "silu"],
    ["Activation", { activation: "hard_sigmoid" }, "hard_sigmoid"],
  ] as const)(
    "%s with %j becomes the activation %s of the convolution before it",
    (className, config, name) => {
      const graph = followedBy(className, config);
      const folded = foldActivations(graph, { ...everything, kept: [{ node: 2, output: 0 }] });
      expect(classNames(folded.graph)).toEqual(["InputLayer", "Conv2D"]);
      expect(layerAt(folded.graph, "conv").config["activation"]).toBe(name);
      expect(folded.kept).toEqual([{ node: 1, output: 0 }]);
      expect(folded.graph.outputs[0]!.ref).toEqual({ node: 1, output: 0 });
      expect(layerAt(graph, "conv").config["activation"]).toBe("linear");
    },
  );

  test.each([
    ["ReLU", { max_value: 5 }],
    ["ReLU", { negative_slope: 0.1 }],
    ["ReLU", { threshold: 1 }],
    ["ELU", { alpha: 0.5 }],
    ["LeakyReLU", { negative_slope: 0.3 }],
    ["Activation", { activation: "softmax" }],
    ["Activation", { activation: { class_name: "Custom>mine", config: {} } }],
    ["Softmax", {}],
    ["PReLU", {}],
    ["ops.Exp", {}],
  ])("%s with %j has no equivalent named activation and stays", (className, config) => {
    const graph = followedBy(className, config);
    expect(foldActivations(graph, everything).graph).toBe(graph);
  });

  test("a layer is not folded into a convolution that has an activation", () => {
    const graph = followedBy("ReLU", {}, { activation: "tanh" });
    expect(foldActivations(graph, everything).graph).toBe(graph);
  });

  test("an activation stays if its input is kept or has other readers", () => {
    const graph = followedBy("ReLU", {});
    expect(foldActivations(graph, { ...everything, kept: [{ node: 1, output: 0 }] }).graph).toBe(graph);
    const readTwice = built((g) => {
      const x = g.call("conv", "Conv2D", { filters: 2, kernel_size: 1 }, g.input([null, 4, 4, 2]));
      return g.call("sum", "Add", {}, g.call("act", "ReLU", {}, x), x);
    });
    expect(foldActivations(readTwice, everything).graph).toBe(readTwice);
  });

  test("a sum takes in the activation after it where that is asked for alone", () => {
    const graph = built((g) => {
      const x = g.input([null, 4]);
      return g.call("act", "ReLU", {}, g.call("sum", "Add", {}, x, g.call("one", "Dense", { units: 4 }, x)));
    });
    expect(foldActivations(graph, everything).graph).toBe(graph);
    const folded = foldActivations(graph, { ...everything, intoSums: true }).graph;
    expect(classNames(folded)).toEqual(["InputLayer", "Dense", "Add"]);
    expect(layerAt(folded, "sum").config["activation"]).toBe("relu");
  });

  test("layers of different versions of Keras, whose activation names may differ in meaning, stay apart", () => {
    const graph = followedBy("Activation", { activation: "hard_sigmoid" });
    const mixed: LayerGraph = {
      ...graph,
      layers: graph.layers.map((layer) => (layer.path === "act" ? { ...layer, keras: 2 } : layer)),
    };
    expect(foldActivations(mixed, everything).graph).toBe(mixed);
  });
});
