import { describe, expect, test } from "vitest";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { stagesOf } from "../../src/topology/stages.ts";
import {
  application,
  conv,
  dense,
  imageInput,
  layer,
  norm,
  pool,
  strided,
  tinyGraph,
} from "../freeze/networks.ts";
import { graphFixture } from "./graph-fixtures.ts";

function firstOf(graph: LayerGraph, name: string): string | undefined {
  const stages = stagesOf(graph);
  return graph.layers.find(({ path }) => stages.matches(name, path))?.path;
}

function byLabel(graph: LayerGraph): Record<string, string[]> {
  const stages = stagesOf(graph);
  const lists: Record<string, string[]> = {};
  for (const { path } of graph.layers) {
    const label = stages.labelOf(path);
    if (label !== null) lists[label] = [...(lists[label] ?? []), path];
  }
  return lists;
}

describe("stage labels", () => {
  const resolutions = ["conv1", "conv2", "conv3", "conv4", "conv5"];

  test.each<[string, string, string[]]>([
    ["ResNet50", "3.15.1", [...resolutions, "head"]],
    ["ResNet50", "2.15.0", [...resolutions, "head"]],
    ["ResNet50", "2.2.4", [...resolutions, "head"]],
    ["ResNet50V2", "3.15.1", [...resolutions, "head"]],
    ["DenseNet121", "3.15.1", [...resolutions, "head"]],
    ["MobileNet", "3.15.1", [...resolutions, "head"]],
    ["MobileNetV2", "3.15.1", [...resolutions, "head"]],
    ["MobileNetV2", "2.2.4", [...resolutions, "head"]],
    ["MobileNetV3Small", "3.15.1", [...resolutions, "top", "head"]],
    [
      "EfficientNetB0",
      "2.15.0",
      ["stem", "block1", "block2", "block3", "block4", "block5", "block6", "block7", "top", "head"],
    ],
    ["VGG16", "3.15.1", ["block1", "block2", "block3", "block4", "block5", "top", "head"]],
    [
      "EfficientNetB0",
      "3.15.1",
      ["stem", "block1", "block2", "block3", "block4", "block5", "block6", "block7", "top", "head"],
    ],
  ])("%s of Keras %s has the expected stages", (name, version, labels) => {
    expect(stagesOf(application(name, version)).labels).toEqual(labels);
  });

  test("every layer except InputLayers belongs to exactly one stage", () => {
    for (const [name, version] of [
      ["ResNet50", "3.15.1"],
      ["MobileNetV3Small", "3.15.1"],
      ["EfficientNetB0", "3.15.1"],
      ["DenseNet121", "3.15.1"],
      ["InceptionV3", "3.15.1"],
    ] as const) {
      const graph = application(name, version);
      const labelled = Object.values(byLabel(graph)).flat();
      expect([name, labelled.length]).toEqual([name, graph.layers.length - 1]);
    }
  });

  test("layers of ResNet50 belong to the stages that their names say", () => {
    const labelled = byLabel(application("ResNet50"));
    for (const [label, paths] of Object.entries(labelled)) {
      const named = paths.map((path) => /^(conv\d|pool1|avg_pool|predictions)/.exec(path)![1]!);
      const expected = { conv1: ["conv1", "pool1"], head: ["avg_pool", "predictions"] }[label] ?? [label];
      expect([label, [...new Set(named)]]).toEqual([label, expected]);
    }
  });

  test("layers of the old ResNet50 belong to the same stages as those of the new one", () => {
    const counts = (graph: LayerGraph): number[] =>
      Object.values(byLabel(graph)).map((paths) => paths.length);
    expect(counts(application("ResNet50", "2.2.4"))).toEqual(counts(application("ResNet50")));
  });
});

describe("stages by resolution", () => {
  test.each<[string, string, string, string]>([
    ["ResNet50", "3.15.1", "stage4", "conv4_block1_1_conv"],
    ["ResNet50", "2.2.4", "conv4", "res4a_branch2a"],
    ["ResNet50", "2.2.4", "stage5", "res5a_branch2a"],
    ["MobileNet", "3.15.1", "stage2", "conv_dw_2"],
    ["MobileNet", "3.15.1", "conv4", "conv_dw_6"],
    ["MobileNetV2", "3.15.1", "conv2", "block_1_depthwise"],
    ["MobileNetV2", "2.2.4", "conv5", "block_13_depthwise"],
    ["MobileNetV3Small", "3.15.1", "conv2", "expanded_conv_depthwise"],
    ["EfficientNetB0", "3.15.1", "stage1", "rescaling"],
    ["EfficientNetB0", "3.15.1", "stage2", "block2a_dwconv"],
    ["EfficientNetB0", "3.15.1", "conv5", "block6a_dwconv"],
    ["DenseNet121", "3.15.1", "stage3", "conv3_block1_0_bn"],
    ["VGG16", "3.15.1", "conv4", "block4_conv1"],
  ])("in %s of Keras %s stage %s begins with %s", (name, version, stage, first) => {
    const found = firstOf(application(name, version), stage)!;
    expect(found.replace(/_\d+$/, "")).toBe(first.replace(/_\d+$/, ""));
  });

  test.each([
    ["ResNet50", "3.15.1"],
    ["ResNet50", "2.2.4"],
    ["ResNet50V2", "3.15.1"],
    ["MobileNetV2", "3.15.1"],
    ["MobileNetV2", "2.15.0"],
    ["DenseNet121", "3.15.1"],
    ["VGG16", "3.15.1"],
    ["Xception", "2.15.0"],
    ["InceptionV3", "3.15.1"],
  ])("stages of %s of Keras %s begin where the shapes in Keras change", (name, version) => {
    const fixture = graphFixture(`keras-${version}-${name}.json.gz`, name);
    const graph = layerGraph(fixture);
    const firsts = new Map<string, string>();
    for (const { path, outputs, weights } of fixture.layers) {
      const shape = outputs![0]![0];
      if (weights.length === 0 || shape.length !== 4) continue;
      const resolution = shape.slice(1, 3).join();
      if (!firsts.has(resolution)) firsts.set(resolution, path);
    }
    const weighted = new Set(
      fixture.layers.filter(({ weights }) => weights.length > 0).map(({ path }) => path),
    );
    const stages = stagesOf(graph);
    [...firsts.values()].forEach((path, index) => {
      const inStage = graph.layers.filter((candidate) => stages.matches(`stage${index + 1}`, candidate.path));
      expect(inStage.find((candidate) => weighted.has(candidate.path))!.path).toBe(path);
    });
    expect(graph.layers.some(({ path }) => stages.matches(`stage${firsts.size + 1}`, path))).toBe(false);
  });

  test("squeeze-and-excitation does not count as a resolution", () => {
    const graph = application("EfficientNetB0");
    const stages = stagesOf(graph);
    const squeezes = graph.layers.filter(({ name }) => /^block2._se_/.test(name));
    expect(squeezes.length).toBeGreaterThan(4);
    for (const { path } of squeezes) expect([path, stages.matches("stage2", path)]).toEqual([path, true]);
    expect(graph.layers.some(({ path }) => stages.matches("stage6", path))).toBe(false);
  });

  test("a resolution of one position counts if the network itself reaches it", () => {
    const graph = tinyGraph([
      imageInput("x", 4),
      strided("a"),
      strided("b"),
      norm("b_bn"),
      pool(),
      dense("out"),
    ]);
    expect(byLabel(graph)).toEqual({ conv1: ["a"], conv2: ["b", "b_bn"], head: ["pool", "out"] });
  });

  test("an open input size is taken to be 224 pixels", () => {
    const open = { ...imageInput(), config: { batch_input_shape: [null, null, null, 3] } };
    const graph = tinyGraph([open, strided("a"), strided("b"), pool(), dense("out")]);
    expect(stagesOf(graph).labels).toEqual(["conv1", "conv2", "head"]);
  });

  test("resolutions are found in channels_first format", () => {
    const first = { data_format: "channels_first" };
    const graph = tinyGraph([
      { ...imageInput(), config: { batch_input_shape: [null, 3, 16, 16] } },
      strided("a", { config: first }),
      norm("a_bn", { config: { axis: [1] } }),
      conv("a2", { config: { ...first, filters: 9 } }),
      strided("b", { config: first }),
      layer("GlobalAveragePooling2D", "pool", { config: first }),
      dense("out"),
    ]);
    expect(byLabel(graph)).toEqual({ conv1: ["a", "a_bn", "a2"], conv2: ["b"], head: ["pool", "out"] });
  });
});

describe("networks without resolutions", () => {
  test("a network of Dense layers has the stages top and head", () => {
    const vector = layer("InputLayer", "x", { config: { batch_input_shape: [null, 5] } });
    const graph = tinyGraph([vector, dense("first", 5), dense("second", 5), dense("last")]);
    expect(byLabel(graph)).toEqual({ top: ["first", "second"], head: ["last"] });
  });

  test("stages are found in nested models", () => {
    const graph = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "transfer model"));
    const labels = stagesOf(graph).labels;
    expect(labels.slice(-1)).toEqual(["head"]);
    expect(firstOf(graph, "stage2")).toMatch(/\/conv_dw_2$/);
  });
});
