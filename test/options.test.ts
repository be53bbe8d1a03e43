import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { flagsOf } from "../src/cli/command.ts";
import { commands } from "../src/cli/commands.ts";
import { arrayDataset } from "../src/data/arrays.ts";
import { imageSizeOf } from "../src/data/input-images.ts";
import { UsageError } from "../src/errors.ts";
import { readCheckpoint } from "../src/formats/checkpoint-file.ts";
import { freezeUntil } from "../src/freeze/policy.ts";
import { resolveFreeze } from "../src/freeze/resolve.ts";
import * as api from "../src/index.ts";
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
    const flags = new Set(commands.flatMap((command) => [...flagsOf(command).keys()]));
    /** Files that run other programs with flags of theirs, write out a command to repeat, or name both ways to register a layer. */
    const callers = [
      ...["find-tensorflow.ts", "build-binding.ts", "call-text.ts", "topology/support.ts"],
      ...["engine/webgpu-engine.ts", "engine/webgpu/device.ts"],
    ];
    const found = files
      .filter(({ path }) => !callers.some((name) => path.endsWith(name)))
      .flatMap(({ path, text }) =>
        text
          .split("\n")
          .filter((line) => !/^\s*(?:\*|\/\*\*|\/\/)/.test(line))
          .filter((line) => [...line.matchAll(/--([a-z-]+)/g)].some(([, name]) => flags.has(name ?? "")))
          .map((line) => `${path}: ${line.trim()}`),
      );
    expect(found).toEqual([]);
  });
});

describe("a call with an option out of range, or one that does not exist, is refused by its name", () => {
  const wrong: readonly (readonly [call: string, options: object, message: RegExp])[] = [
    ["predict", { batchSize: 0 }, /^batchSize: expected a whole number of 1 or more, got 0\.$/],
    ["predict", { batch: 3 }, /^batch: unknown option\. The options are batchSize, memory\.$/],
    ["evaluate", { batchSize: 1.5 }, /^batchSize: expected a whole number of 1 or more, got 1\.5\.$/],
    [
      "evaluate",
      { split: "validation" },
      /^split: expected one of train, val, test, all, got "validation"\.$/,
    ],
    ["predictFiles", { top: -1 }, /^top: expected a whole number of 1 or more, got -1\.$/],
    ["predictFiles", { threshold: 2 }, /^threshold: expected a number from 0 to 1, got 2\.$/],
    ["createTrainer", { learningRate: Number.NaN }, /^learningRate: expected a number above 0, got NaN\.$/],
    ["createTrainer", { learning_rate: 0.1 }, /^learning_rate: unknown option\. The options are freeze, /],
    ["extractFeatures", { cacheMax: -1 }, /^cacheMax: expected a whole number of 1 or more, got -1\.$/],
    [
      "planFinetune",
      { bnMode: "off" },
      /^bnMode: expected one of inference, follow, freeze, train, got "off"\.$/,
    ],
  ];
  test.each(wrong)("%s %j", async (name, options, message) => {
    const checkpoint = await readCheckpoint("fixtures/cli/small_resnet.keras", { weights: false });
    const images = { dtype: "float32", shape: [1, 32, 32, 3], data: new Float32Array(3072) } as const;
    const data = arrayDataset(images, { dtype: "float32", shape: [1], data: new Float32Array(1) });
    const plan = api.planFinetune(checkpoint, { freeze: freezeUntil("conv3") });
    const calls: Readonly<Record<string, () => unknown>> = {
      predict: () => api.predict(checkpoint, images, options),
      evaluate: () => api.evaluate(checkpoint, data, options),
      predictFiles: () => api.predictFiles(checkpoint, ["x.jpg"], options),
      createTrainer: () => api.createTrainer(checkpoint, options),
      extractFeatures: () => api.extractFeatures(checkpoint, plan, data, options),
      planFinetune: async () => api.planFinetune(checkpoint, options),
    };
    const refused = Promise.resolve(calls[name]?.());
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ option: Object.keys(options)[0] });
  });
});
