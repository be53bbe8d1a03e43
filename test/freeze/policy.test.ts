import { describe, expect, test } from "vitest";
import {
  formatPolicy,
  freeze,
  freezeAllButHead,
  freezeDepth,
  freezeThrough,
  freezeUntil,
  unfreeze,
} from "../../src/freeze/policy.ts";

describe("policies are data", () => {
  test("a policy holds the patterns of comma-separated lists and of several arguments", () => {
    expect(freeze("conv1,conv2", "/a,b/")).toEqual({ kind: "freeze", patterns: ["conv1", "conv2", "/a,b/"] });
    expect(unfreeze("*_bn")).toEqual({ kind: "unfreeze", patterns: ["*_bn"] });
    expect(freezeUntil("conv4")).toEqual({ kind: "until", patterns: ["conv4"] });
    expect(freezeThrough(" conv3 ")).toEqual({ kind: "through", patterns: ["conv3"] });
    expect(freezeAllButHead()).toEqual({ kind: "all-but-head" });
  });

  test.each<[number | string, object]>([
    [81, { kind: "depth", n: 81 }],
    ["-3", { kind: "depth", n: -3 }],
    ["base:10", { kind: "depth", n: 10, container: "base" }],
    ["outer/base:-2", { kind: "depth", n: -2, container: "outer/base" }],
    [-0, { kind: "depth", n: 0 }],
  ])("freezeDepth accepts %j", (text, policy) => {
    expect(freezeDepth(text)).toStrictEqual(policy);
  });

  test.each(["ten", "1.5", 1.5, "base:", "", Number.NaN])("freezeDepth refuses %j", (text) => {
    expect(() => freezeDepth(text)).toThrow(/^freezeDepth\(.*\): expected an integer/);
  });

  test("a cut at two positions and an empty list of patterns are refused", () => {
    expect(() => freezeUntil("conv4,conv5")).toThrow(
      'freezeUntil("conv4,conv5"): expected one layer, stage or pattern, got 2.',
    );
    expect(() => freezeThrough("")).toThrow(
      'freezeThrough(""): expected one layer, stage or pattern, got 0.',
    );
    expect(() => freeze()).toThrow("freeze(): expected a layer, stage or pattern, got none.");
    expect(() => unfreeze(",")).toThrow("unfreeze(): expected a layer, stage or pattern, got none.");
  });

  test("formatPolicy writes each policy as on the command line", () => {
    const policies = [
      freezeUntil("conv4"),
      freeze("a,b"),
      unfreeze("c"),
      freezeDepth("base:3"),
      freezeAllButHead(),
    ];
    expect(policies.map(formatPolicy)).toEqual([
      'freezeUntil("conv4")',
      'freeze("a,b")',
      'unfreeze("c")',
      'freezeDepth("base:3")',
      "freezeAllButHead()",
    ]);
  });
});
