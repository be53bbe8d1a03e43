import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { imageSizeOf } from "../src/data/input-images.ts";
import { UsageError } from "../src/errors.ts";
import { readCheckpoint } from "../src/formats/checkpoint-file.ts";
import { freezeUntil } from "../src/freeze/policy.ts";
import { resolveFreeze } from "../src/freeze/resolve.ts";
import { optionSetTo, spellOptions } from "../src/options.ts";
import { layerGraph } from "../src/topology/build-graph.ts";
import type { LayerGraph } from "../src/topology/layer-graph.ts";

afterEach(() => spellOptions());

async function smallResNet(): Promise<LayerGraph> {
  return layerGraph(await readCheckpoint("fixtures/cli/small_resnet.keras", { weights: false }));
}

function errorOf(action: () => unknown): UsageError {
  try {
    action();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("a message names an option as the caller wrote it", () => {
  test("in code", async () => {
    const graph = await smallResNet();
    const size = errorOf(() => imageSizeOf(graph, {}, 64));
    expect([size.option, size.message]).toEqual(["imageSize", expect.stringMatching(/^imageSize: expected/)]);
    const name = errorOf(() => resolveFreeze(graph, freezeUntil("conv9")));
    expect([name.option, name.message]).toEqual([
      "freeze",
      expect.stringMatching(/^freezeUntil\("conv9"\): no layer matches/),
    ]);
    expect(optionSetTo("cache", false)).toBe("cache: false");
  });

  test("on the command line", async () => {
    const graph = await smallResNet();
    spellOptions({
      name: (option) => `<${option}>`,
      assigned: (option, value) => `<${option} ${value}>`,
      policy: (name, argument) => `<${name} ${argument ?? ""}>`,
    });
    const size = errorOf(() => imageSizeOf(graph, {}, 64));
    expect([size.option, size.message]).toEqual([
      "imageSize",
      expect.stringMatching(/^<imageSize>: expected/),
    ]);
    expect(errorOf(() => resolveFreeze(graph, freezeUntil("conv9"))).message).toMatch(
      /^<freezeUntil conv9>: no layer matches/,
    );
    expect(optionSetTo("cache", false)).toBe("<cache false>");
  });

  test("and no message outside the command line is written with a flag", () => {
    const files = readdirSync("src", { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.startsWith("cli/"))
      .map((path) => ({ path, text: readFileSync(join("src", path), "utf8") }));
    /** Files that run other programs with flags of theirs. */
    const callers = ["find-tensorflow.ts", "build-binding.ts"];
    const found = files
      .filter(({ path }) => !callers.some((name) => path.endsWith(name)))
      .flatMap(({ path, text }) =>
        text
          .split("\n")
          .filter((line) => /--[a-z]/.test(line) && !/^\s*(?:\*|\/\*\*|\/\/)/.test(line))
          .map((line) => `${path}: ${line.trim()}`),
      );
    expect(found).toEqual([]);
  });
});
