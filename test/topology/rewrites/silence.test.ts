import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import { withoutIdentities } from "../../../src/topology/rewrites/silence.ts";
import { built, classNames } from "./graph-maker.ts";

const silent = { silenced: (): boolean => true, kept: [] };

describe("withoutIdentities", () => {
  test.each([
    ["Identity", {}],
    ["Activation", { activation: "linear" }],
    ["Dropout", { rate: 0.5 }],
    ["SpatialDropout2D", { rate: 0.5 }],
    ["GaussianNoise", { stddev: 1 }],
    ["GaussianDropout", { rate: 0.5 }],
    ["AlphaDropout", { rate: 0.5 }],
    ["StochasticDepth", { drop_path_rate: 0.5 }],
  ] satisfies [string, JsonObject][])("%s %j is gone, its readers read its input", (className, config) => {
    const graph = built((g) => {
      const x = g.input([null, 4, 4, 2]);
      const y = g.call("second", className, config, g.call("first", className, config, x));
      return g.call("sum", "Add", {}, g.call("flat", "ReLU", {}, y), y);
    });
    const lean = withoutIdentities(graph, { ...silent, kept: [{ node: 2, output: 0 }] });
    expect(classNames(lean.graph)).toEqual(["InputLayer", "ReLU", "Add"]);
    expect(lean.graph.nodes[2]!.inputs).toEqual([
      { node: 1, output: 0 },
      { node: 0, output: 0 },
    ]);
    expect(lean.kept).toEqual([{ node: 0, output: 0 }]);
  });

  test("a Dropout that is active stays", () => {
    const graph = built((g) =>
      ["a", "b"].reduce((x, name) => g.call(name, "Dropout", { rate: 0.5 }, x), g.input([null, 2])),
    );
    const lean = withoutIdentities(graph, { ...silent, silenced: (node) => node.layer === "a" });
    expect(lean.graph.layers.map((layer) => layer.path)).toEqual(["input_0", "b"]);
    expect(withoutIdentities(graph, { ...silent, silenced: () => false }).graph).toBe(graph);
  });

  test("an output that an identity gave is its input's", () => {
    const graph = built((g) => g.call("same", "Identity", {}, g.call("act", "ReLU", {}, g.input([null, 2]))));
    const { graph: lean } = withoutIdentities(graph, silent);
    expect(lean.outputs).toEqual([{ name: "same", ref: { node: 1, output: 0 } }]);
  });
});
