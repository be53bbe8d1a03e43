import { describe, expect, test } from "vitest";
import { partition } from "../../src/freeze/partition.ts";
import type { FreezePolicy } from "../../src/freeze/policy.ts";
import { freezeDepth, freezeThrough, freezeUntil } from "../../src/freeze/policy.ts";
import { resolveFreeze } from "../../src/freeze/resolve.ts";
import type { LayerGraph } from "../../src/topology/layer-graph.ts";
import { application, conv, dense, imageInput, layer, norm, pool, tinyGraph } from "./networks.ts";

const resnet = application("ResNet50");
const oldResnet = application("ResNet50", "2.2.4");

const warningsOf = (graph: LayerGraph, policy: FreezePolicy): readonly string[] =>
  resolveFreeze(graph, policy).warnings;

describe("a cut inside a residual block", () => {
  test("the warning names the block, its shortcut, the frontier and the nearest clean cuts", () => {
    expect(warningsOf(resnet, freezeUntil("conv4_block1_3_conv"))).toEqual([
      "conv4_block1_3_conv cuts residual block conv4_block1: its shortcut conv4_block1_0_conv is on the other side. Frontier = 2 tensors. Use conv4 or conv4_block2 to cut between blocks.",
    ]);
  });

  test("the warning names the source of a shortcut that goes around the cut", () => {
    expect(warningsOf(resnet, freezeUntil("conv4_block1_2_conv"))).toEqual([
      "conv4_block1_2_conv cuts residual block conv4_block1: its shortcut from conv3_block4_out goes around the cut. Frontier = 2 tensors. Use conv4 or conv4_block2 to cut between blocks.",
    ]);
  });

  test("the warning names the longer branch if the shortcut is cut off", () => {
    expect(warningsOf(resnet, freezeUntil("conv4_block1_0_conv"))[0]).toContain(
      "its other branch conv4_block1_2_relu is on the other side.",
    );
  });

  test("alternatives are names for the same policy, or for freezeUntil if the cut is a depth", () => {
    expect(warningsOf(resnet, freezeThrough("conv4_block1_2_relu"))[0]).toMatch(
      /Use conv3 or conv4_block1 to cut between blocks\.$/,
    );
    expect(warningsOf(resnet, freezeDepth(90))[0]).toMatch(
      /Use freezeUntil\("conv4"\) or freezeUntil\("conv4_block2"\) to cut between blocks\.$/,
    );
    expect(warningsOf(resnet, freezeUntil("conv4_block6_2_conv"))[0]).toMatch(
      /Use conv4_block6 or conv5 to cut/,
    );
  });

  test("a block whose layers share no name is named by its first and last layer", () => {
    const last = oldResnet.layers[oldResnet.layers.findIndex(({ path }) => path === "res4b_branch2a") - 1]!;
    expect(last.className).toBe("Activation");
    expect(warningsOf(oldResnet, freezeUntil("bn4a_branch2c"))).toEqual([
      `bn4a_branch2c cuts the residual block from res4a_branch2a to ${last.path}: its shortcut res4a_branch1 is on the other side. Frontier = 2 tensors. Use conv4 or res4b_branch2a to cut between blocks.`,
    ]);
  });

  test.each([
    ["conv4_block1_3_conv", "until"],
    ["conv4_block3_2_conv", "until"],
    ["conv2_block1_2_relu", "through"],
    ["conv5_block2_1_bn", "through"],
  ] as const)("each alternative to %s (%s) cuts at one tensor without a warning", (name, kind) => {
    const policyOf = kind === "until" ? freezeUntil : freezeThrough;
    const [warning] = warningsOf(resnet, policyOf(name));
    const proposed = / Use (.+) to cut between blocks\.$/.exec(warning!)![1]!.split(" or ");
    expect(proposed.length).toBe(2);
    for (const target of proposed) {
      const resolution = resolveFreeze(resnet, policyOf(target));
      expect([target, resolution.warnings]).toEqual([target, []]);
      expect(partition(resnet, resolution).frontier.length).toBe(1);
    }
  });

  test("there is no warning if all layers of the block after the cut have no weights", () => {
    expect(warningsOf(resnet, freezeUntil("conv4_block1_add"))).toEqual([]);
    expect(warningsOf(resnet, freezeUntil("conv4_block1_out"))).toEqual([]);
  });

  test("every position inside a block of ResNet50 is warned of, and none between blocks", () => {
    const inside = new Set(
      resnet.layers
        .filter(({ name }) => /_block\d_(?:1_bn|[23]_(?:conv|bn)|0_(?:conv|bn))$/.test(name))
        .map(({ path }) => path),
    );
    for (const { path, className } of resnet.layers) {
      if (className === "InputLayer") continue;
      const warned = warningsOf(resnet, freezeUntil(path)).some((warning) => warning.includes("cuts"));
      const next = resnet.layers.slice(resnet.layers.findIndex((other) => other.path === path));
      const cut = next.find((other) => /Conv2D|BatchNormalization|Dense/.test(other.className))!.path;
      expect([path, warned]).toEqual([path, inside.has(cut)]);
    }
  });
});

describe("a block that begins with an activation", () => {
  test("a block that begins with an activation is cut cleanly before it and before its first weighted layer", () => {
    const xception = application("Xception");
    for (const name of ["block8", "block8_sepconv1", "block2", "block14"]) {
      expect([name, warningsOf(xception, freezeUntil(name))]).toEqual([name, []]);
    }
    expect(warningsOf(xception, freezeUntil("block8_sepconv2"))[0]).toMatch(
      /^block8_sepconv2 cuts residual block block8: its shortcut from \S+ goes around the cut\. .* Use block8 or block9 to cut/,
    );
  });
});

describe("a cut through branches without a sum", () => {
  const graph = tinyGraph([
    imageInput(),
    conv("stem"),
    conv("left", { calls: [["stem"]] }),
    conv("right", { calls: [["stem"]] }),
    norm("right_bn"),
    layer("Concatenate", "mixed", { calls: [["left", "right_bn"]] }),
    conv("next"),
    pool(),
    dense("out"),
  ]);

  test("branches that are concatenated are described as a block", () => {
    expect(warningsOf(graph, freezeUntil("right_bn"))).toEqual([
      "right_bn cuts the block from left to mixed: its other branch left is on the other side. Frontier = 2 tensors. Use left or next to cut between blocks.",
    ]);
  });
});

describe("networks with long skip connections", () => {
  const graph = tinyGraph([
    imageInput(),
    conv("down1"),
    conv("down2"),
    conv("down3"),
    layer("Concatenate", "join2", { calls: [["down2", "down3"]] }),
    conv("up2"),
    layer("Concatenate", "join1", { calls: [["down1", "up2"]] }),
    conv("up1"),
    pool(),
    dense("out"),
  ]);

  test("the nearest positions that one tensor crosses are proposed", () => {
    expect(warningsOf(graph, freezeUntil("down3"))[0]).toMatch(
      /Frontier = 2 tensors\. Use down2 or up1 to cut/,
    );
  });

  test("a model input that crosses the cut does not count as a branch", () => {
    const two = tinyGraph([
      imageInput("a"),
      imageInput("b"),
      conv("first", { calls: [["a"]] }),
      conv("second"),
      conv("late", { calls: [["b"]] }),
      layer("Add", "sum", { calls: [["second", "late"]] }),
      pool(),
      dense("out"),
    ]);
    expect(warningsOf(two, freezeUntil("second"))).toEqual([]);
  });
});
