import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import type { GraphNode } from "../../../src/topology/layer-graph.ts";
import { layerAt } from "../../../src/topology/layer-graph.ts";
import { pushStrides } from "../../../src/topology/rewrites/push-strides.ts";
import { densenet, mobilenetV2, resnetV1, resnetV2 } from "./network-maker.ts";
import { difference, everywhere, nodeOf, shapeOf, stridesOf } from "./strided-graphs.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

describe("pushStrides in ResNet V1", () => {
  const graph = resnetV1();
  const { graph: pushed } = pushStrides(graph, everywhere);

  test("the last 3x3 convolution of a stage takes the stride of the next stage", () => {
    for (const [stage, next] of [
      ["conv2", "conv3"],
      ["conv3", "conv4"],
      ["conv4", "conv5"],
    ]) {
      expect(stridesOf(pushed, `${stage}_block2_2_conv`)).toEqual([2, 2]);
      expect(stridesOf(pushed, `${next}_block1_0_conv`)).toEqual([1, 1]);
      expect(stridesOf(pushed, `${next}_block1_1_conv`)).toEqual([1, 1]);
    }
    expect(stridesOf(pushed, "conv5_block2_2_conv")).toBe(1);
  });

  test("the tensor that crosses a cut before conv4 has a quarter of the values", () => {
    expect(shapeOf(graph, "conv3_block2_out")).toEqual([null, 8, 8, 16]);
    expect(shapeOf(pushed, "conv3_block2_out")).toEqual([null, 4, 4, 16]);
    expect(shapeOf(pushed, "conv4_block1_out")).toEqual(shapeOf(graph, "conv4_block1_out"));
  });

  test("a strided 3x3 convolution keeps the leading zero that it had at stride 1", () => {
    expect(layerAt(pushed, "conv3_block2_2_conv").config["padding"]).toBe("valid");
    expect(layerAt(pushed, "conv3_block2_2_conv_padding")).toMatchObject({
      className: "ZeroPadding2D",
      config: {
        padding: [
          [1, 0],
          [1, 0],
        ],
      },
    });
  });

  test("a residual with a reader of all positions is subsampled before the Add", () => {
    expect(layerAt(pushed, "conv3_block1_out_subsample").className).toBe("MaxPooling2D");
    expect(shapeOf(pushed, "conv3_block1_out")).toEqual([null, 8, 8, 16]);
    expect(shapeOf(pushed, "conv3_block1_out_subsample")).toEqual([null, 4, 4, 16]);
  });

  test("every layer keeps its path and position, and new layers follow", () => {
    expect(pushed.layers.slice(0, graph.layers.length).map((layer) => layer.path)).toEqual(
      graph.layers.map((layer) => layer.path),
    );
    expect(pushed.layers.map((layer) => layer.index)).toEqual(pushed.layers.map((_, index) => index));
  });

  test.each([
    ["even sizes", { size: 64 }, 9],
    ["odd sizes", { size: 56 }, 9],
    ["channels first", { size: 32, format: "channels_first" }, 9],
    ["free sizes", { size: null }, 45],
    ["three blocks a stage", { size: 48, blocks: [3, 3] }, 9],
    ["one block a stage", { size: 48, blocks: [1, 1, 1] }, 9],
  ] as const)("predictions are equal with %s", (_what, options, free) => {
    const whole = resnetV1(options);
    const thinned = pushStrides(whole, everywhere).graph;
    expect(thinned).not.toBe(whole);
    expect(difference(whole, thinned, free)).toBeLessThan(1e-5);
  });

  test('on odd sizes no padding layer is needed because "same" pads equally at stride 2', () => {
    const odd = pushStrides(resnetV1({ size: 56 }), everywhere).graph;
    expect(shapeOf(odd, "conv3_block1_out")).toEqual([null, 7, 7, 16]);
    expect(layerAt(odd, "conv3_block2_2_conv").config).toMatchObject({ strides: [2, 2], padding: "same" });
    expect(odd.layers.some((layer) => layer.path === "conv3_block2_2_conv_padding")).toBe(false);
  });

  test("no stride moves if every BatchNormalization uses batch statistics", () => {
    const isNorm = (node: GraphNode): boolean => node.layer.endsWith("_bn");
    expect(pushStrides(graph, { canPushThrough: (node) => !isNorm(node) }).graph).toBe(graph);
  });

  test("with batch statistics from conv4 on the stride before conv4 moves and the one before conv5 does not", () => {
    const onBatch = (node: GraphNode): boolean => /^conv[45].*_bn$/.test(node.layer);
    const half = pushStrides(graph, { canPushThrough: (node) => !onBatch(node) }).graph;
    expect(stridesOf(half, "conv3_block2_2_conv")).toEqual([2, 2]);
    expect(stridesOf(half, "conv4_block2_2_conv")).toBe(1);
    expect(stridesOf(half, "conv5_block1_1_conv")).toBe(2);
    expect(difference(graph, half)).toBeLessThan(1e-5);
  });

  test("a kept tensor keeps all its positions and is found in the new graph", () => {
    const { node } = { node: nodeOf(graph, "conv3_block2_out").index };
    const result = pushStrides(graph, { ...everywhere, kept: [{ node, output: 0 }] });
    expect(result.graph.nodes[result.kept[0]!.node]!.layer).toBe("conv3_block2_out");
    expect(shapeOf(result.graph, "conv3_block2_out")).toEqual([null, 8, 8, 16]);
    expect(stridesOf(result.graph, "conv4_block2_2_conv")).toEqual([2, 2]);
  });
});

describe("networks in which pushStrides saves nothing", () => {
  test.each([
    ["ResNet V2, where the pool's input is read whole", resnetV2],
    ["MobileNet V2, whose strided kernels read every position", mobilenetV2],
    ["DenseNet, whose pools read every position", densenet],
  ])("no stride moves in %s", (_name, make) => {
    const graph = make();
    expect(pushStrides(graph, everywhere).graph).toBe(graph);
  });
});
