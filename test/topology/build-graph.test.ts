import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { isObject } from "../../src/topology/config-values.ts";
import type { GraphLayer, GraphNode, LayerGraph } from "../../src/topology/layer-graph.ts";
import { unsupportedLayers } from "../../src/topology/support.ts";
import { parameterCount, weightSpecsOf } from "../../src/topology/weights-of.ts";
import type { GraphFixture } from "./graph-fixtures.ts";
import { graphFixtureFiles, readGraphFixtures } from "./graph-fixtures.ts";

describe.each(graphFixtureFiles())("graphs of the models in %s", (file) => {
  for (const fixture of readGraphFixtures(file)) {
    test(`${fixture.name}: layers, shapes, weights and trainable flags equal Keras's`, () =>
      compare(fixture));
  }
});

function compare(fixture: GraphFixture): void {
  const graph = layerGraph(fixture);
  expect(unsupportedLayers(graph)).toEqual([]);
  compareLayers(graph, fixture);
  compareOutputs(graph, fixture);
  compareWeights(graph, fixture);
  expect(wiringOf(graph)).toEqual(fixture.wiring);
  expectTopologicalOrder(graph);
}

function compareLayers(graph: LayerGraph, fixture: GraphFixture): void {
  const layers = ownLayers(graph, fixture);
  expect(layers.map((layer) => `${layer.path} ${layer.className}`)).toEqual(
    fixture.layers.map((layer) => `${layer.path} ${layer.op ? "ops." : ""}${layer.className}`),
  );
  const plain = layers.filter((layer) => !layer.className.startsWith("ops."));
  expect(plain.map((layer) => layer.path)).toEqual(fixture.order);
}

/** Removes the InputLayer, which Keras does not count among a Sequential's layers. */
function ownLayers(graph: LayerGraph, fixture: GraphFixture): readonly GraphLayer[] {
  return fixture.sequential ? graph.layers.filter((layer) => layer.className !== "InputLayer") : graph.layers;
}

function compareOutputs(graph: LayerGraph, fixture: GraphFixture): void {
  const firstNodes = new Map<string, GraphNode>();
  for (const node of graph.nodes) if (!firstNodes.has(node.layer)) firstNodes.set(node.layer, node);
  for (const { path, outputs } of fixture.layers) {
    if (!outputs) continue;
    const got = firstNodes.get(path)!.outputs;
    expect([path, got.map(({ shape }) => shape)]).toEqual([path, outputs.map(([shape]) => shape)]);
    const dtypes = outputs.map(([, dtype], index) => dtype ?? got[index]!.dtype);
    expect([path, got.map(({ dtype }) => dtype)]).toEqual([path, dtypes]);
  }
  const shapes = graph.outputs.map(({ ref }) => graph.nodes[ref.node]!.outputs[ref.output]!.shape);
  expect(shapes).toEqual(fixture.outputShapes);
  const names = outputKeys(fixture) ?? fixture.outputNames;
  if (names) expect(graph.outputs.map(({ name }) => name)).toEqual(names);
}

/** Returns the keys of a dict of outputs, which Keras names losses and metrics by; undefined for other outputs. */
function outputKeys({ modelConfig }: GraphFixture): readonly string[] | undefined {
  const outputs = (modelConfig["config"] as JsonObject)["output_layers"];
  return isObject(outputs) ? Object.keys(outputs).sort() : undefined;
}

function compareWeights(graph: LayerGraph, fixture: GraphFixture): void {
  const weights = weightSpecsOf(graph);
  const layers = new Map(graph.layers.map((layer) => [layer.path, layer]));
  for (const { path, weights: expected } of fixture.layers) {
    const specs = weights.get(path) ?? [];
    const got = specs.map((spec, index) => [
      [spec.name, ...(spec.formerNames ?? [])].find((name) => isNamed(expected[index]?.[0], name)) ?? "?",
      spec.shape,
      spec.trainable && layers.get(path)!.trainable,
    ]);
    expect([path, got]).toEqual([path, expected.map(([name, ...rest]) => [withoutCount(name), ...rest])]);
  }
  expect(parameterCount(weights.values())).toBe(fixture.parameters);
}

function isNamed(full: string | undefined, name: string): boolean {
  return full !== undefined && withoutCount(full) === name;
}

/** Keras names a variable without a name `variable`, `variable_1` and so on. */
function withoutCount(name: string): string {
  return name.replace(/^variable_\d+$/, "variable");
}

function expectTopologicalOrder(graph: LayerGraph): void {
  graph.nodes.forEach((node, index) => {
    expect(node.index).toBe(index);
    for (const ref of node.inputs) expect(ref.node).toBeLessThan(index);
  });
}

/** Computes the same digests as `wiring` in fixtures/make/graphs.py. */
function wiringOf(graph: LayerGraph): string[] {
  const inputs = new Set(graph.inputs.map(({ ref }) => ref.node));
  const digests: string[][] = [];
  for (const node of graph.nodes) {
    const sources = node.inputs.map((ref) => digests[ref.node]![ref.output]!).join(",");
    digests.push(
      node.outputs.map((_, output) =>
        digest(inputs.has(node.index) ? node.layer : `${node.layer}(${sources})${output}`),
      ),
    );
  }
  return graph.outputs.map(({ ref }) => digests[ref.node]![ref.output]!);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
