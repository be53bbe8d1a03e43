import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { partition } from "../../src/freeze/partition.ts";
import { freezeDepth } from "../../src/freeze/policy.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import { elementCount } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";
import { graphFixture } from "../topology/graph-fixtures.ts";
import { application, freezeFixture } from "./networks.ts";

interface DepthFixture {
  readonly models: readonly {
    readonly file: string;
    readonly model: string;
    readonly cases: readonly {
      readonly n: number;
      readonly container?: string;
      /** Positions of the trained layers among all layers, nested models flattened in place. */
      readonly layers: readonly number[];
      readonly values: number;
      readonly weights: number;
    }[];
  }[];
}

const files = readdirSync(new URL("../../fixtures/freeze/", import.meta.url))
  .filter((file) => file.endsWith("-depths.json.gz"))
  .map((file) => file.replace(".json.gz", ""));

describe.each(files)("model.layers[:n] of %s", (file) => {
  for (const { file: graphFile, model, cases } of freezeFixture<DepthFixture>(file).models) {
    if (cases.length === 0) continue;
    const fixture = graphFixture(graphFile, model);
    const graph = layerGraph(fixture);
    test.each(cases)(`${model}: Keras trains the same weights frozen to $n of $container`, (expected) => {
      const depth = expected.container === undefined ? expected.n : `${expected.container}:${expected.n}`;
      expect(trained(graph, depth)).toEqual({
        layers: expected.layers.map((position) => fixture.order[position]),
        values: expected.values,
        weights: expected.weights,
      });
    });
  }
});

function trained(graph: LayerGraph, depth: number | string): object {
  const { trainableWeights } = partition(
    graph,
    resolveFreeze(graph, freezeDepth(depth), { bnMode: "follow" }),
  );
  const specs = weightSpecsOf(graph);
  const shapes = [...trainableWeights].flatMap(([path, names]) =>
    names.map((name) => specs.get(path)!.find((spec) => spec.name === name)!.shape),
  );
  return {
    layers: [...trainableWeights.keys()],
    values: shapes.reduce((sum, shape) => sum + elementCount(shape), 0),
    weights: shapes.length,
  };
}

describe("invalid depths", () => {
  const resnet = application("ResNet50");

  test("a depth beyond the number of layers is refused with that number", () => {
    for (const depth of [178, -178, 500]) {
      expect(() => resolveFreeze(resnet, freezeDepth(depth))).toThrow(
        `freezeDepth(${depth}): expected at most the 177 layers of the model, got ${Math.abs(depth)}.`,
      );
    }
  });

  test("an unknown nested model is refused with the names of the existing ones", () => {
    const nested = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "nested three deep"));
    expect(() => resolveFreeze(nested, freezeDepth("tip:1"))).toThrow(
      'freezeDepth("tip:1"): expected one of mid, mid/low, top, got no nested model of that name. Did you mean top?',
    );
    expect(() => resolveFreeze(resnet, freezeDepth("base:1"))).toThrow(UsageError);
  });

  test("a depth counts the layers of a nested model given by its path or its name", () => {
    const nested = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "nested three deep"));
    const byName = resolveFreeze(nested, freezeDepth("low:2"));
    expect(byName.frozen).toEqual(resolveFreeze(nested, freezeDepth("mid/low:2")).frozen);
    expect(byName.frozen.has("mid/low/point")).toBe(true);
    expect(byName.frozen.has("top/shared")).toBe(false);
  });
});
