import { beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import type { LayerGraph, TensorRef } from "../../../src/topology/layer-graph.ts";
import { inferenceForm, withoutIdentities } from "../../../src/topology/rewrites/inference-form.ts";
import { pushStrides } from "../../../src/topology/rewrites/push-strides.ts";
import {
  built,
  classNames,
  outputRefs,
  randomInputs,
  randomWeights,
  relativeDifference,
  valuesAt,
} from "./graph-maker.ts";
import { densenet, mobilenetV2, resnetV1, resnetV2 } from "./network-maker.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const always = (): boolean => true;

function rewritten(graph: LayerGraph, kept: readonly TensorRef[] = []): ReturnType<typeof inferenceForm> {
  const pushed = pushStrides(graph, { canPushThrough: always, kept });
  const options = { foldable: always, silenced: always, kept: pushed.kept };
  return inferenceForm(pushed.graph, randomWeights(graph, 3), options);
}

/** Counts the calls of each class. */
function census(graph: LayerGraph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of classNames(graph)) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

describe("inferenceForm", () => {
  test.each([
    ["ResNet V1", resnetV1],
    ["ResNet V2", resnetV2],
    ["MobileNet V2", mobilenetV2],
    ["DenseNet", densenet],
  ])("the inference form of %s gives equal predictions in both data formats", (_name, make) => {
    for (const format of ["channels_last", "channels_first"] as const) {
      const graph = make({ size: 32, format });
      const lean = rewritten(graph);
      const inputs = randomInputs(graph, 4);
      const [before] = valuesAt(graph, randomWeights(graph, 3), inputs, outputRefs(graph));
      const [after] = valuesAt(lean.graph, lean.weights, inputs, outputRefs(lean.graph));
      tf.dispose(inputs);
      expect(relativeDifference(after!, before!)).toBeLessThan(1e-5);
    }
  });

  test("the inference form of ResNet V1 has no BatchNormalization and only the activations after an Add", () => {
    const graph = resnetV1();
    const left = census(rewritten(graph).graph);
    expect(left["BatchNormalization"]).toBeUndefined();
    expect(left["Activation"]).toBe(census(graph)["Add"]);
    expect(left["Conv2D"]).toBe(census(graph)["Conv2D"]);
  });

  test("the inference form of MobileNet V2 has no BatchNormalization and no activation layers", () => {
    expect(Object.keys(census(rewritten(mobilenetV2()).graph)).sort()).toEqual([
      "Add",
      "Conv2D",
      "Dense",
      "DepthwiseConv2D",
      "GlobalAveragePooling2D",
      "InputLayer",
      "ZeroPadding2D",
    ]);
  });

  test("Dense, BatchNormalization, Dense and an activation become one layer once the Dropout between them is gone", () => {
    const graph = built((g) => {
      const first = g.call("first", "Dense", { units: 16 }, g.input([null, 12]));
      const norm = g.call("norm", "BatchNormalization", {}, g.call("drop", "Dropout", { rate: 0.5 }, first));
      return g.call("act", "ReLU", {}, g.call("second", "Dense", { units: 3 }, norm));
    });
    expect(classNames(rewritten(graph).graph)).toEqual(["InputLayer", "Dense"]);
  });

  test("layers that are not foldable stay unchanged", () => {
    const graph = mobilenetV2();
    const cut = graph.nodes.find((node) => node.layer === "block_2_add")!.index;
    const before = new Set(graph.nodes.slice(0, cut + 1).map((node) => node.layer));
    const lean = inferenceForm(graph, randomWeights(graph, 3), {
      foldable: (path) => before.has(path),
      silenced: () => false,
      kept: [{ node: cut, output: 0 }],
    });
    expect(lean.graph.nodes[lean.kept[0]!.node]!.layer).toBe("block_2_add");
    const layers = (from: LayerGraph, start: number): string[] =>
      from.nodes.slice(start).map((node) => node.layer);
    expect(layers(lean.graph, lean.kept[0]!.node)).toEqual(layers(graph, cut));
    expect(
      lean.graph.layers.filter((layer) => before.has(layer.path) && layer.className === "BatchNormalization"),
    ).toEqual([]);
  });
});

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
  ] satisfies [string, JsonObject][])(
    "%s with %j is removed and its readers read its input",
    (className, config) => {
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
    },
  );

  test("an active Dropout stays", () => {
    const graph = built((g) =>
      ["a", "b"].reduce((x, name) => g.call(name, "Dropout", { rate: 0.5 }, x), g.input([null, 2])),
    );
    const lean = withoutIdentities(graph, { ...silent, silenced: (node) => node.layer === "a" });
    expect(lean.graph.layers.map((layer) => layer.path)).toEqual(["input_0", "b"]);
    expect(withoutIdentities(graph, { ...silent, silenced: () => false }).graph).toBe(graph);
  });

  test("an output of the model that an identity computes becomes its input", () => {
    const graph = built((g) => g.call("same", "Identity", {}, g.call("act", "ReLU", {}, g.input([null, 2]))));
    const { graph: lean } = withoutIdentities(graph, silent);
    expect(lean.outputs).toEqual([{ name: "same", ref: { node: 1, output: 0 } }]);
  });
});
