import { describe, expect, test } from "vitest";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { inputShapes } from "../../src/topology/layer-spec.ts";
import { specOf } from "../../src/topology/layer-specs.ts";
import { callShapesOf } from "../../src/topology/weights-of.ts";
import type { FixtureLayer, GraphFixture } from "./graph-fixtures.ts";
import { graphFixtureFiles, readGraphFixtures } from "./graph-fixtures.ts";

const files = graphFixtureFiles().filter((file) => !file.includes("nets"));

/**
 * Each value of a kernel is used once for each position of the output, or of the input of a transposed convolution.
 */
describe.each(files)("multiply-adds in %s equal kernel sizes times positions from Keras's shapes", (file) => {
  test.each(readGraphFixtures(file).filter(hasKernels))("$name", (fixture) => {
    const graph = layerGraph(fixture);
    const layers = new Map(fixture.layers.map((layer) => [layer.path, layer]));
    for (const layer of graph.layers) {
      const node = graph.nodes.find((candidate) => candidate.layer === layer.path)!;
      const call = callShapesOf(graph, layer, node)!;
      const outputs = inputShapes(node.outputs.map(({ shape }) => shape!));
      const count = specOf(layer.className)?.multiplyAdds?.({ ...call, outputs }) ?? 0;
      const place = layer.className.endsWith("Transpose") ? call.inputs[0] : outputs[0];
      const channels = layer.config["data_format"] === "channels_first" ? place[1]! : place.at(-1)!;
      const positions = place.slice(1).reduce<number>((product, size) => product * (size ?? 0), 1) / channels;
      const expected = kernelsOf(layers.get(layer.path)).reduce((sum, size) => sum + size * positions, 0);
      expect([layer.path, count]).toEqual([layer.path, expected]);
    }
  });
});

function hasKernels(fixture: GraphFixture): boolean {
  return fixture.layers.some((layer) => kernelsOf(layer).length > 0 && layer.outputs);
}

function kernelsOf(layer: FixtureLayer | undefined): number[] {
  return (layer?.weights ?? [])
    .filter(([name]) => name.endsWith("kernel"))
    .map(([, shape]) => shape.reduce((product, size) => product * size, 1));
}
