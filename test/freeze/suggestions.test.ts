import { describe, expect, test } from "vitest";
import { editDistance, nearestNames } from "../../src/freeze/suggestions.ts";

describe("editDistance", () => {
  test.each<[string, string, number]>([
    ["", "", 0],
    ["", "abc", 3],
    ["conv4", "conv4", 0],
    ["conv9", "conv4", 1],
    ["fc100", "fc1000", 1],
    ["cnov4", "conv4", 1],
    ["kitten", "sitting", 3],
    ["head", "conv5", 5],
  ])("the edit distance of %j and %j is %i in both directions", (a, b, distance) => {
    expect([editDistance(a, b), editDistance(b, a)]).toEqual([distance, distance]);
  });
});

describe("nearestNames", () => {
  const stages = ["conv1", "conv2", "conv3", "conv4", "conv5", "head"];

  test("among names of equal distance the one with the nearest number is preferred", () => {
    expect(nearestNames("conv9", stages, 2)).toEqual(["conv4", "conv5"]);
    expect(nearestNames("conv0", stages, 2)).toEqual(["conv1", "conv2"]);
  });

  test("each near name is returned once in the order given, and distant names are not", () => {
    expect(nearestNames("hed", [...stages, "head"], 3)).toEqual(["head"]);
    expect(nearestNames("something", stages, 2)).toEqual([]);
    expect(nearestNames("CONV5", stages, 1)).toEqual(["conv5"]);
  });
});
