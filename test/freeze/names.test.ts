import { describe, expect, it } from "vitest";
import { isBoundedPrefix, resolveName } from "../../src/freeze/names.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { stagesOf } from "../../src/topology/stages.ts";
import { graphFixture } from "../topology/graph-fixtures.ts";
import {
  application,
  conv,
  dense,
  layer,
  network,
  norm,
  picture,
  pool,
  strided,
  tinyGraph,
} from "./networks.ts";

function resolved(graph: LayerGraph, pattern: string): { rule: string; paths: string[] } | null {
  const match = resolveName(graph, stagesOf(graph), pattern);
  return match && { rule: match.rule, paths: match.layers.map(({ path }) => path) };
}

describe("isBoundedPrefix", () => {
  it.each<[string, string, boolean]>([
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
  ])("%j of %j: %j", (prefix, name, expected) => {
    expect(isBoundedPrefix(prefix, name)).toBe(expected);
  });
});

describe("the first rule with a match wins", () => {
  const graph = tinyGraph([
    picture(),
    conv("conv1"),
    norm("conv1_bn"),
    strided("conv10"),
    norm("a+b(c)"),
    conv("a.b"),
    conv("axb"),
    pool(),
    dense("out[1]"),
  ]);

  it("takes an exact name before a prefix", () => {
    expect(resolved(graph, "conv1")).toEqual({ rule: "path", paths: ["conv1"] });
  });

  it("takes a stage alias where no name begins so", () => {
    expect(resolved(graph, "conv2")).toEqual({ rule: "stage", paths: ["conv10", "a+b(c)", "a.b", "axb"] });
    expect(resolved(graph, "stage1")).toEqual({ rule: "stage", paths: ["conv1", "conv1_bn"] });
  });

  it("takes characters of regexes and globs in a name for themselves", () => {
    expect(resolved(graph, "a+b(c)")).toEqual({ rule: "path", paths: ["a+b(c)"] });
    expect(resolved(graph, "a.b")).toEqual({ rule: "path", paths: ["a.b"] });
    expect(resolved(graph, "out[1]")).toEqual({ rule: "path", paths: ["out[1]"] });
  });

  it("takes globs and regexes last", () => {
    expect(resolved(graph, "conv1*")).toEqual({ rule: "glob", paths: ["conv1", "conv1_bn", "conv10"] });
    expect(resolved(graph, "/^conv1(_|$)/")).toEqual({ rule: "regex", paths: ["conv1", "conv1_bn"] });
    expect(resolved(graph, "/BN/i")).toEqual({ rule: "regex", paths: ["conv1_bn"] });
  });

  it("never takes a part of a name", () => {
    expect(resolved(graph, "bn")).toBeNull();
    expect(resolved(graph, "onv1")).toBeNull();
  });

  it("ignores case in stage aliases only", () => {
    expect(resolved(graph, "Stage2")?.rule).toBe("stage");
    expect(resolved(graph, "CONV1")?.rule).toBe("stage");
  });
});

describe("auto-named layers", () => {
  const graph = tinyGraph([
    picture(),
    conv("conv2d"),
    conv("conv2d_1", { config: { strides: [2, 2] } }),
    conv("conv2d_2"),
    pool(),
    dense("dense"),
  ]);

  it("conv2 means the second resolution of a network of conv2d, conv2d_1", () => {
    expect(resolved(graph, "conv2")).toEqual({ rule: "stage", paths: ["conv2d_1", "conv2d_2"] });
  });

  it("conv2d means that one layer", () => {
    expect(resolved(graph, "conv2d")).toEqual({ rule: "path", paths: ["conv2d"] });
  });
});

describe("nested models", () => {
  const graph = layerGraph(graphFixture("keras-3.15.1-nets.json.gz", "nested three deep"));

  it("a container's name means all its layers, at any depth, by path and by its own name", () => {
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

  it("a layer's own name means it in whichever model it is", () => {
    expect(resolved(graph, "point")?.paths).toEqual(["mid/low/point"]);
    expect(resolved(graph, "norm")?.paths).toEqual(["mid/low/norm", "top/norm"]);
    expect(resolved(graph, "top/norm")).toEqual({ rule: "path", paths: ["top/norm"] });
    expect(resolved(graph, "low/norm")?.paths).toEqual(["mid/low/norm"]);
  });

  it("globs and regexes see paths and own names", () => {
    expect(resolved(graph, "*orm")?.paths).toEqual(["mid/low/norm", "top/norm"]);
    expect(resolved(graph, "top/*")?.paths).toEqual(["top/shared", "top/norm"]);
    expect(resolved(graph, "mid/*")?.paths).toEqual(resolved(graph, "mid")?.paths);
    expect(resolved(graph, "/^norm$/")?.paths).toEqual(["mid/low/norm", "top/norm"]);
    expect(resolved(graph, "/^mid.*norm$/")?.paths).toEqual(["mid/low/norm"]);
  });

  it("an exact path wins over layers of the same name in nested models", () => {
    const twice = layerGraph(withInner("dense"));
    expect(resolved(twice, "dense")).toEqual({ rule: "path", paths: ["dense"] });
    expect(resolved(twice, "base")?.paths).toEqual(["base/dense"]);
  });
});

/** A model `base` with a Dense, and a Dense of the same name behind it. */
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

describe("ResNet50 of both generations", () => {
  it("conv4 is the same stage in new names, and in old ones by its resolution", () => {
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

  it("res4 is res4a to res4f in old names, res4a one block, conv1 one layer", () => {
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

  it("conv1 does not match the 1_conv of later blocks", () => {
    const paths = resolved(application("ResNet50"), "conv1")!.paths;
    expect(paths).toEqual(["conv1_pad", "conv1_conv", "conv1_bn", "conv1_relu"]);
  });
});
