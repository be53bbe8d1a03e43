import { describe, expect, test } from "vitest";
import { layerGraph } from "../../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../../src/topology/layer-graph.ts";
import { layerAt } from "../../../src/topology/layer-graph.ts";
import { inputShapes } from "../../../src/topology/layer-spec.ts";
import { specOf } from "../../../src/topology/layer-specs.ts";
import { inferenceForm } from "../../../src/topology/rewrites/inference-form.ts";
import { pushStrides } from "../../../src/topology/rewrites/push-strides.ts";
import { callShapesOf } from "../../../src/topology/weights-of.ts";
import { graphFixtureFiles, readGraphFixtures } from "../graph-fixtures.ts";
import { classNames, randomWeights } from "./graph-maker.ts";

const always = (): boolean => true;

/** Networks of keras.applications written by three versions of Keras. */
const networks = graphFixtureFiles()
  .filter((file) => !/-(layers|nets)\.json/.test(file))
  .flatMap((file) => readGraphFixtures(file))
  .map((fixture) => ({ label: `${fixture.name} of Keras ${fixture.kerasVersion}`, ...fixture }));
const resnets = networks.filter((fixture) => fixture.name === "ResNet50");

/** Counts the multiply-adds of the layers whose paths begin with one of `stages`. */
function multiplyAdds(graph: LayerGraph, ...stages: readonly string[]): number {
  const layers = new Map(graph.layers.map((layer) => [layer.path, layer] as const));
  return graph.nodes
    .filter((node) => stages.some((stage) => node.layer.startsWith(stage)))
    .reduce((sum, node) => {
      const layer = layers.get(node.layer)!;
      const outputs = inputShapes(node.outputs.map((output) => output.shape!));
      const count = specOf(layer.className)?.multiplyAdds;
      return sum + (count ? count({ ...callShapesOf(graph, layer, node)!, outputs }) : 0);
    }, 0);
}

describe("pushing strides in ResNet50 of several versions of Keras", () => {
  test("the fixtures have ResNet50 from several versions", () => {
    expect(resnets.length).toBeGreaterThan(1);
  });

  test.each(resnets)(
    "each stage of $label passes on a quarter of the positions, which saves over 9 % of all multiply-adds",
    (fixture) => {
      const graph = layerGraph(fixture);
      const pushed = pushStrides(graph, { canPushThrough: always }).graph;
      const thinned = pushed.nodes.filter((node, at) => {
        const before = graph.nodes.find((other) => other.layer === node.layer);
        return before && before.outputs[0]!.shape![1]! === 2 * node.outputs[0]!.shape![1]! && at > 0;
      });
      const outputs = new Set(thinned.map((node) => node.outputs[0]!.shape!.join()));
      expect([...outputs]).toContain(",14,14,512");
      expect([...outputs]).toContain(",7,7,1024");
      expect(pushed.layers.length - graph.layers.length).toBe(6);
      const spared = multiplyAdds(graph, "") - multiplyAdds(pushed, "");
      expect(spared / multiplyAdds(graph, "")).toBeGreaterThan(0.09);
    },
  );

  test("in Keras 3's ResNet50 the layers of conv3 from the last 3x3 on cost a quarter and conv4 costs the same", () => {
    const graph = layerGraph(resnets.find((fixture) => fixture.kerasVersion.startsWith("3"))!);
    const pushed = pushStrides(graph, { canPushThrough: always }).graph;
    const last = ["conv3_block4_2_conv", "conv3_block4_3_conv"];
    expect(multiplyAdds(pushed, ...last) * 4).toBe(multiplyAdds(graph, ...last));
    expect(multiplyAdds(pushed, "conv5")).toBe(multiplyAdds(graph, "conv5"));
    expect(layerAt(pushed, "conv4_block1_1_conv").config["strides"]).toEqual([1, 1]);
  });
});

describe("the inference form of Keras's networks", () => {
  test.each(networks.filter((fixture) => fixture.name === "MobileNetV2"))(
    "the inference form of $label has no BatchNormalization, no Dropout and the same output shape",
    (fixture) => {
      const graph = layerGraph(fixture);
      const lean = inferenceForm(graph, randomWeights(graph, 1), {
        foldable: always,
        silenced: always,
        kept: [],
      });
      const left = new Set(classNames(lean.graph));
      expect(left.has("BatchNormalization")).toBe(false);
      expect(left.has("Dropout")).toBe(false);
      const shapes = (of: LayerGraph): unknown =>
        of.outputs.map(({ ref }) => of.nodes[ref.node]!.outputs[0]!.shape);
      expect(shapes(lean.graph)).toEqual(shapes(graph));
    },
  );
});
