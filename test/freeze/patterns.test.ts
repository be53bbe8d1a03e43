import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { globExpression, isGlob, parsePatterns, regexOf } from "../../src/freeze/patterns.ts";

describe("parsePatterns", () => {
  test.each<[string, string[]]>([
    ["conv4", ["conv4"]],
    ["conv1,conv2", ["conv1", "conv2"]],
    [" conv1 , bn* ,, ", ["conv1", "bn*"]],
    ["", []],
    ["base/conv1,base/bn", ["base/conv1", "base/bn"]],
    ["/conv(1|2){1,2}/,bn", ["/conv(1|2){1,2}/", "bn"]],
    ["/a,b/i, /c,d/", ["/a,b/i", "/c,d/"]],
    ["/base/conv,1/,x", ["/base/conv,1/", "x"]],
    ["/[/,]/,x", ["/[/,]/", "x"]],
    ["/\\/,/,x", ["/\\/,/", "x"]],
    ["block[1,2]_*,head", ["block[1,2]_*", "head"]],
    ["a[b,c", ["a[b", "c"]],
    ["/unclosed,next", ["/unclosed", "next"]],
  ])("%j is split at commas outside of regexes and sets", (text, patterns) => {
    expect(parsePatterns(text)).toEqual(patterns);
  });
});

describe("regexOf", () => {
  test("a regex may have flags and is not anchored", () => {
    expect(regexOf("/_BN$/i")!.test("conv1_bn")).toBe(true);
    expect(regexOf("/_BN$/")!.test("conv1_bn")).toBe(false);
    expect(regexOf("/2/")!.test("conv2d_1")).toBe(true);
  });

  test("a regex with flag g keeps no position between matches", () => {
    const expression = regexOf("/bn/g")!;
    expect([expression.test("bn"), expression.test("bn")]).toEqual([true, true]);
  });

  test("a name that contains a slash is not a regex", () => {
    expect(regexOf("base/conv1")).toBeNull();
    expect(regexOf("conv1")).toBeNull();
  });

  test("a regex that does not compile is refused by name", () => {
    expect(() => regexOf("/conv(/")).toThrow(UsageError);
    expect(() => regexOf("/conv(/")).toThrow(
      /^\/conv\(\/: expected a valid regular expression, got an error: /,
    );
  });
});

describe("globs", () => {
  test.each<[string, string, boolean]>([
    ["*_bn", "conv1_bn", true],
    ["*_bn", "base/conv1_bn", false],
    ["base/*", "base/conv1", true],
    ["base/*", "base/inner/conv1", false],
    ["base/**", "base/inner/conv1", true],
    ["conv?", "conv1", true],
    ["conv?", "conv10", false],
    ["conv[1-3]_*", "conv2_block1", true],
    ["conv[!1-3]_*", "conv2_block1", false],
    ["conv[!1-3]_*", "conv4_block1", true],
    ["a.c*", "abc", false],
    ["a.c*", "a.c1", true],
    ["(x|y)*", "x", false],
    ["(x|y)*", "(x|y)1", true],
  ])("glob %j on path %j gives %j", (pattern, path, matches) => {
    expect(isGlob(pattern)).toBe(true);
    expect(globExpression(pattern).test(path)).toBe(matches);
  });

  test("a glob with an empty range is refused", () => {
    expect(() => globExpression("conv[9-1]")).toThrow("conv[9-1]: expected a set of characters in [ ]");
  });

  test("empty brackets and plain names are not globs", () => {
    expect([isGlob("conv1"), isGlob("a[]"), isGlob("a]b")]).toEqual([false, false, false]);
  });
});
