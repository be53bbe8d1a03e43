import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import type { FinetuneOptions } from "../../src/run/options.ts";
import { resolveOptions } from "../../src/run/settings.ts";

const run = { model: "m.keras", data: "photos" };

function refusal(options: Record<string, unknown>): UsageError {
  try {
    resolveOptions({ ...run, ...options } as FinetuneOptions);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(options)} was taken`);
}

describe("the settings of a run", () => {
  test("have a value for every option", () => {
    const settings = resolveOptions(run);
    expect(Object.entries(settings).filter(([, value]) => value === undefined)).toEqual([]);
    expect(settings).toMatchObject({ epochs: "auto", batchSize: 32, optimizer: "Adam", seed: 0 });
    expect(settings).toMatchObject({ learningRate: "auto", loss: "auto", imageSize: "auto", freeze: "auto" });
    expect(settings).toMatchObject({ patience: null, out: null, cacheMax: 10e9, exif: true });
  });

  test("resolve to themselves", () => {
    const settings = resolveOptions({ ...run, epochs: 3, freeze: freezeUntil("conv4") });
    expect(resolveOptions(settings as FinetuneOptions)).toEqual(settings);
    expect(settings.freeze).toEqual([{ kind: "until", patterns: ["conv4"] }]);
  });

  test("leave an option that is undefined at its default", () => {
    expect(resolveOptions({ ...run, epochs: undefined }).epochs).toBe("auto");
  });
});

describe("an option out of range is refused by its name in code", () => {
  const wrong: readonly (readonly [name: string, values: readonly unknown[], expected: RegExp])[] = [
    ["epochs", [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "3", null], /a whole number of 1 or more/],
    ["batchSize", [0, -1, 2.5, Number.NaN], /a whole number of 1 or more/],
    ["patience", [0, -1, 0.5], /a whole number of 1 or more/],
    ["classes", [0, 1.5], /a whole number of 1 or more/],
    ["seed", [-1, 0.5, Number.NaN], /a whole number of 0 or more/],
    ["cacheMax", [0, -1, Number.NaN], /a whole number of 1 or more/],
    ["memory", [0, -1, 0.5, "4GB"], /a whole number of 1 or more/],
    ["precision", ["bfloat16", 16, null], /one of float32, bf16/],
    ["learningRate", [0, -0.1, Number.NaN, Number.POSITIVE_INFINITY, "fast"], /a number above 0/],
    ["imageSize", [0, -3, 2.5, [224], [224, 0], [1, 2, 3], "224"], /pixels such as 224/],
    [
      "classWeight",
      ["heavy", {}, { a: -1 }, { a: 0 }, { a: Number.NaN }, 3],
      /balanced, or a weight above 0/,
    ],
    ["bnMode", ["off"], /one of inference, follow, freeze, train/],
    ["preprocess", ["Caffe"], /one of auto, caffe, tf, torch, unit, none, or mean=…,std=…/],
    ["cacheDtype", ["float64"], /one of float32, float16/],
    ["outputFormat", ["pb"], /one of keras, h5, weights\.h5, tfjs, hub, onnx/],
    ["cache", ["", true], /a folder, or false/],
    ["exif", ["no"], /true or false/],
    ["out", [""], /some text/],
    ["freeze", ["conv4", { kind: "upto" }], /a freeze policy such as freezeUntil\("conv4"\)/],
    ["optimizer", ["", {}, 3], /a Keras optimizer's name or config/],
    ["loss", ["", { config: {} }], /a Keras loss's name or config/],
    ["model", [undefined, "", {}], /a Keras file, a run folder or a checkpoint/],
    ["data", [undefined, 3], /a folder or a dataset/],
    ["signal", ["stop"], /an AbortSignal/],
    ["onProgress", ["log"], /a function/],
    ["callbacks", [{ name: "x" }, [() => {}]], /a list of callbacks/],
  ];
  test.each(wrong)("%s", (name, values, expected) => {
    for (const value of values) {
      const error = refusal({ [name]: value });
      expect(error.message).toMatch(new RegExp(`^${name}: expected .+, got .+\\.$`));
      expect(error.message).toMatch(expected);
      expect([error.option, error.code]).toEqual([name, "option-value"]);
    }
  });

  test("what was given is shown, in short", () => {
    expect(refusal({ epochs: -1 }).message).toBe("epochs: expected a whole number of 1 or more, got -1.");
    expect(refusal({ data: [1n, new Float32Array(9)] }).message).toMatch(/got \["…","…"\]\.$/);
    expect(refusal({ data: "x".repeat(0) }).message).toMatch(/got ""\.$/);
  });
});

test("an option that does not exist is refused with the nearest that does", () => {
  expect(refusal({ epoch: 3 }).message).toBe("epoch: unknown option. Did you mean epochs?");
  expect(refusal({ xyzzy: 3 }).message).toMatch(/^xyzzy: unknown option\. The options are model, data, /);
  expect(refusal({ epoch: 3 }).option).toBe("epoch");
});
