import { describe, expect, test } from "vitest";
import { isBoundedPrefix, resolveName } from "../../src/freeze/names.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { stagesOf } from "../../src/topology/stages.ts";
import { graphFixture } from "../topology/graph-fixtures.ts";
import {
  application,
  conv,
  dense,
  imageInput,
  layer,
  network,
  norm,
  pool,
  strided,
  tinyGraph,
} from "./networks.ts";

function resolved(graph: LayerGraph, pattern: string): { rule: string; paths: string[] } | null {
  const match = resolveName(graph, stagesOf(graph), pattern);
  return match && { rule: match.rule, paths: match.layers.map(({ path }) => path) };
}

describe("isBoundedPrefix", () => {
  test.each<[string, string, boolean]>([
    ["conv1", "conv1", true],
    ["conv1", "conv1_bn", true],
    ["conv1", "conv1-bn", true],
    ["conv1", "conv1.bn", true],
    ["conv1", "conv1/bn", true],
    ["conv1", "conv10", false],
    ["conv1", "conv10_bn", false],
    ["block1", "block10_conv", false],
    ["block6", "block6a_expand_conv", true],
    ["res4", "res4a_branch2a", true],
    ["res4", "res4b", true],
    ["res4", "res4b22_branch2a", false],
    ["res4", "res4ab_branch2a", false],
    ["block", "block6a_bn", false],
    ["block6a", "block6a_bn", true],
    ["block6a", "block6ab_bn", false],
    ["conv1", "conv1d", false],
    ["conv2", "conv2d", false],
    ["conv2", "conv2d_7", false],
    ["conv3", "conv3d_1", false],
    ["conv2", "conv2d_transpose", false],
    ["conv4", "conv4d_1", true],
    ["conv2", "conv2c_1", true],
    ["conv2d", "conv2d_1", true],
    ["dense", "dense_1", true],
    ["dense", "dense1", false],
    ["", "conv1", false],
    ["conv4", "block_conv4", false],
  ])("%j as a bounded prefix of %j is %j", (prefix, name, expected) => {
    expect(isBoundedPrefix(prefix, name)).toBe(expected);
  });
});

describe("the first naming rule that matches wins", () => {
  const graph = tinyGraph([
    imageInput(),
    conv("conv1"),
    norm("conv1_bn"),
    strided("conv10"),
    norm("a+b(c)"),
    conv("a.b"),
    conv("axb"),
    pool(),
    dense("out[1]"),
  ]);

  test("an exact name wins over a prefix", () => {
    expect(resolved(graph, "conv1")).toEqual({ rule: "path", paths: ["conv1"] });
  });

  test("a stage alias matches if no layer name begins with it", () => {
    expect(resolved(graph, "conv2")).toEqual({ rule: "stage", paths: ["conv10", "a+b(c)", "a.b", "axb"] });
    expect(resolved(graph, "stage1")).toEqual({ rule: "stage", paths: ["conv1", "conv1_bn"] });
  });

  test("characters of globs and regexes match themselves in an exact name", () => {
    expect(resolved(graph, "a+b(c)")).toEqual({ rule: "path", paths: ["a+b(c)"] });
    expect(resolved(graph, "a.b")).toEqual({ rule: "path", paths: ["a.b"] });
    expect(resolved(graph, "out[1]")).toEqual({ rule: "path", paths: ["out[1]"] });
  });

  test("globs and regexes are tried last", () => {
    expect(resolved(graph, "conv1*")).toEqual({ rule: "glob", paths: ["conv1", "conv1_bn", "conv10"] });
    expect(resolved(graph, "/^conv1(_|$)/")).toEqual({ rule: "regex", paths: ["conv1", "conv1_bn"] });
    expect(resolved(graph, "/BN/i")).toEqual({ rule: "regex", paths: ["conv1_bn"] });
  });

  test("a pattern never matches the middle of a name", () => {
    expect(resolved(graph, "bn")).toBeNull();
    expect(resolved(graph, "onv1")).toBeNull();
  });

  test("only stage aliases ignore case", () => {
    expect(resolved(graph, "Stage2")?.rule).toBe("stage");
    expect(resolved(graph, "CONV1")?.rule).toBe("stage");
  });
});

describe("auto-named layers", () => {
  const graph = tinyGraph([
    imageInput(),
    conv("conv2d"),
    conv("conv2d_1", { config: { strides: [2, 2] } }),
    conv("conv2d_2"),
    pool(),
    dense("dense"),
  ]);

  test("conv2 matches the second stage of a network of auto-named conv2d, conv2d_1", () => {
    expect(resolved(graph, "conv2")).toEqual({ rule: "stage", paths: ["conv2d_1", "conv2d_2"] });
  });

  test("conv2d matches only the layer of that name", () => {
    expect(resolved(graph, "conv2d")).toEqual({ rule: "path", paths: ["conv2d"] });
  });
});

describe("nested models", () => {
  const graph = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "nested three deep"));

  test("the path or name of a nested model matches all its layers at any depth", () => {
    const within = graph.layers
      .filter(({ containers }) => containers.includes("mid"))
      .map(({ path }) => path);
    expect(within.length).toBe(4);
    expect(resolved(graph, "mid")).toEqual({ rule: "path", paths: within });
    expect(resolved(graph, "mid/low")?.paths).toEqual(["mid/low/point", "mid/low/norm", "mid/low/relu"]);
    expect(resolved(graph, "low")).toEqual({
      rule: "name",
      paths: ["mid/low/point", "mid/low/norm", "mid/low/relu"],
    });
  });

  test("a layer's name matches it in whichever nested model it is", () => {
    expect(resolved(graph, "point")?.paths).toEqual(["mid/low/point"]);
    expect(resolved(graph, "norm")?.paths).toEqual(["mid/low/norm", "top/norm"]);
    expect(resolved(graph, "top/norm")).toEqual({ rule: "path", paths: ["top/norm"] });
    expect(resolved(graph, "low/norm")?.paths).toEqual(["mid/low/norm"]);
  });

  test("globs and regexes are matched against paths and names", () => {
    expect(resolved(graph, "*orm")?.paths).toEqual(["mid/low/norm", "top/norm"]);
    expect(resolved(graph, "top/*")?.paths).toEqual(["top/shared", "top/norm"]);
    expect(resolved(graph, "mid/*")?.paths).toEqual(resolved(graph, "mid")?.paths);
    expect(resolved(graph, "/^norm$/")?.paths).toEqual(["mid/low/norm", "top/norm"]);
    expect(resolved(graph, "/^mid.*norm$/")?.paths).toEqual(["mid/low/norm"]);
  });

  test("an exact path wins over layers of the same name in nested models", () => {
    const twice = layerGraph(withInner("dense"));
    expect(resolved(twice, "dense")).toEqual({ rule: "path", paths: ["dense"] });
    expect(resolved(twice, "base")?.paths).toEqual(["base/dense"]);
  });
});

/** A model that contains a nested model `base` with a Dense layer, followed by a Dense layer of the same name. */
function withInner(name: string): ReturnType<typeof network> {
  const vector = layer("InputLayer", "x", { config: { batch_input_shape: [null, 4] } });
  const base = network([vector, dense(name, 4)], { name: "base" }).modelConfig["config"] as {
    readonly layers: never;
  };
  return network([
    layer("InputLayer", "y", { config: { batch_input_shape: [null, 4] } }),
    layer("Functional", "base", { config: base }),
    dense(name, 2, { calls: [["base#1"]] }),
  ]);
}

describe("ResNet50 of Keras 2.2 and Keras 3", () => {
  test("conv4 matches the same layers by name in the new ResNet50 and by stage in the old one", () => {
    const named = resolved(application("ResNet50"), "conv4")!;
    expect([named.rule, named.paths[0], named.paths.at(-1)]).toEqual([
      "prefix",
      "conv4_block1_1_conv",
      "conv4_block6_out",
    ]);
    const old = application("ResNet50", "2.2.4");
    for (const name of ["conv4", "stage4"]) {
      const found = resolved(old, name)!;
      expect([found.rule, found.paths[0], found.paths.length]).toEqual([
        "stage",
        "res4a_branch2a",
        named.paths.length,
      ]);
    }
  });

  test("in the old ResNet50 res4 matches res4a to res4f, res4a one block, and conv1 one layer", () => {
    const old = application("ResNet50", "2.2.4");
    expect(resolved(old, "res4")!.paths.length).toBe(6 * 3 + 1);
    expect(resolved(old, "res4a")!.paths).toEqual([
      "res4a_branch2a",
      "res4a_branch2b",
      "res4a_branch2c",
      "res4a_branch1",
    ]);
    expect(resolved(old, "conv1")).toEqual({ rule: "path", paths: ["conv1"] });
  });

  test("conv1 does not match the layers 1_conv of later blocks", () => {
    const paths = resolved(application("ResNet50"), "conv1")!.paths;
    expect(paths).toEqual(["conv1_pad", "conv1_conv", "conv1_bn", "conv1_relu"]);
  });
});
