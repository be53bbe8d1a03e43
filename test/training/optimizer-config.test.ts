import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { lossOf } from "../../src/task/losses/loss.ts";
import type { LossArgument } from "../../src/task/losses/loss-argument.ts";
import { optimizerConfig, rateOf } from "../../src/training/optimizer-config.ts";
import { modelPath, modelRecords } from "../formats/model-fixtures.ts";

interface Written {
  readonly class_name: string;
  readonly config: JsonObject;
}

const folder = new URL("../../fixtures/training/", import.meta.url);
const files = readdirSync(folder)
  .filter((file) => file.startsWith("optimizers-"))
  .map((file) => JSON.parse(gunzipSync(readFileSync(new URL(file, folder))).toString()))
  .map(({ keras, optimizers }) => [keras, optimizers] as [string, readonly Written[]]);

describe.each(files)("an optimizer that Keras %s wrote", (_keras, optimizers) => {
  test.each(optimizers.map((written) => [written.class_name, written] as const))(
    "%s is taken with every setting",
    (name, written) => {
      const isWrapped = name === "LossScaleOptimizer";
      const inner = isWrapped ? (written.config["inner_optimizer"] as unknown as Written) : written;
      const { className, settings } = optimizerConfig(written as unknown as JsonObject);
      expect(className).toBe(inner.class_name);
      const unread = ["name", "jit_compile", "is_legacy_optimizer", "decay"];
      for (const [key, value] of Object.entries(inner.config)) {
        if (unread.includes(key) || (key === "lr" && inner.config["decay"])) continue;
        expect(settings[key === "lr" ? "learning_rate" : key], key).toEqual(value);
      }
    },
  );
});

test("the decay of Keras 1 and 2 divides the rate by a number that grows with every step", () => {
  const config = optimizerConfig({ class_name: "SGD", config: { lr: 0.5, decay: 0.25 } });
  expect([0, 1, 4].map(rateOf(config))).toEqual([0.5, Math.fround(0.4), 0.25]);
});

describe("an optimizer is refused by name", () => {
  const refusals: readonly (readonly [string, JsonObject | string, string])[] = [
    ["that is not Keras's", "Adabelief", 'optimizer "Adabelief": expected one of SGD'],
    ["of several", { class_name: "MultiOptimizer", config: {} }, "got several"],
    ["of another package", { class_name: "Addons>AdamW", config: {} }, "got one of Addons"],
    [
      "of the user's own module",
      { class_name: "Adam", module: "my_code.optimizers", config: {} },
      "got one of my_code.optimizers",
    ],
    ["with a setting that it has not", { class_name: "Adam", config: { rho: 1 } }, '"rho": expected one of'],
    [
      "that accumulates over one step",
      { class_name: "SGD", config: { gradient_accumulation_steps: 1 } },
      "gradient_accumulation_steps: expected a whole number of 2 or more, or null, got 1",
    ],
    [
      "whose average is no average",
      { class_name: "SGD", config: { use_ema: true, ema_momentum: 1.5 } },
      "ema_momentum: expected a number from 0 to 1, got 1.5",
    ],
    [
      "whose schedule is unknown",
      { class_name: "SGD", config: { learning_rate: { class_name: "Noam", config: {} } } },
      'schedule "Noam"',
    ],
  ];
  test.each(refusals)("%s", (_, argument, message) => {
    expect(() => optimizerConfig(argument)).toThrow(message);
  });
});

test("names of every version of Keras mean the same class", () => {
  for (const name of ["Adam", "adam", "Custom>Adam", "Keras>Adam"]) {
    expect(optimizerConfig({ class_name: name, config: {} }).className).toBe("Adam");
  }
  const modules = [
    "keras.optimizers",
    "keras.optimizers.experimental",
    "keras.optimizers.legacy",
    "keras.src.optimizers.adam",
  ];
  for (const module of modules) {
    expect(optimizerConfig({ class_name: "Adam", module, config: {} }).className).toBe("Adam");
  }
});

describe("options of a run stand over the optimizer's own settings", () => {
  test("each under Keras's name", () => {
    const { settings } = optimizerConfig("SGD", {
      momentum: 0.5,
      weightDecay: 0.01,
      globalClipNorm: 2,
      accumulate: 4,
      ema: 0.9,
    });
    expect(settings).toMatchObject({
      momentum: 0.5,
      weight_decay: 0.01,
      global_clipnorm: 2,
      gradient_accumulation_steps: 4,
      use_ema: true,
      ema_momentum: 0.9,
    });
  });

  test("one way to clip takes the place of another", () => {
    const config = { class_name: "SGD", config: { clipvalue: 1 } };
    expect(optimizerConfig(config, { clipNorm: 2 }).settings).toMatchObject({ clipnorm: 2, clipvalue: null });
  });

  test("a momentum is refused where the class has none", () => {
    expect(() => optimizerConfig("Adam", { momentum: 0.9 })).toThrow(
      "momentum: expected an optimizer that has one",
    );
  });
});

describe("the learning rate", () => {
  const own = { class_name: "SGD", config: { lr: 0.3 } };

  test("is the one asked for, else the optimizer's own, else the run's, else Keras's", () => {
    expect(optimizerConfig(own, 0.2, 0.1).settings["learning_rate"]).toBe(0.2);
    expect(optimizerConfig(own, undefined, 0.1).settings["learning_rate"]).toBe(0.3);
    expect(optimizerConfig("sgd", undefined, 0.1).settings["learning_rate"]).toBe(0.1);
    expect(optimizerConfig("sgd").settings["learning_rate"]).toBe(0.01);
  });

  test("is a number of 0 or more", () => {
    expect(() => optimizerConfig("sgd", -1)).toThrow("learning_rate");
    expect(() => optimizerConfig("sgd", Number.NaN)).toThrow("learning_rate");
  });
});

test("two ways to clip at once are refused, as in Keras", () => {
  const config = { clipnorm: 1, clipvalue: 1 };
  expect(() => optimizerConfig({ class_name: "Adam", config })).toThrow("clipvalue: expected null");
});

const compiled = modelRecords()
  .map(([file]) => file)
  .filter((file) => file.includes("-compiled-"));

test.each(compiled)("what %s was compiled with is taken", async (file) => {
  const { trainingConfig } = await readCheckpoint(modelPath(file));
  const { optimizer, optimizer_config, loss } = trainingConfig!;
  const written = (optimizer ?? optimizer_config) as unknown as Written & JsonObject;
  expect(lossOf(loss as LossArgument).name).toMatch(/crossentropy|error/);
  expect(written.class_name).toContain(optimizerConfig(written).className);
});
