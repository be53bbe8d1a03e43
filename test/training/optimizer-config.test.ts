import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { LossArgument } from "../../src/task/loss-argument.ts";
import { lossOf } from "../../src/task/losses.ts";
import { optimizerConfig } from "../../src/training/optimizer-config.ts";
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

/** What cannot be kept, by what the error names. */
function unsupported({ class_name: name, config }: Written): string | null {
  if (["Ftrl", "Adafactor", "LossScaleOptimizer"].includes(name)) return `optimizer "${name}"`;
  if (typeof config["learning_rate"] === "object") return `optimizer ${name}: learning_rate`;
  if (config["decay"]) return `optimizer ${name}: "decay"`;
  const flags = ["use_ema", "gradient_accumulation_steps", "loss_scale_factor"];
  const found = flags.find((flag) => config[flag]);
  return found === undefined ? null : `optimizer ${name}: ${found}`;
}

describe.each(files)("an optimizer that Keras %s wrote", (_keras, optimizers) => {
  const all = optimizers.map((written) => [written.class_name, written] as const);

  test.each(all.filter(([, written]) => unsupported(written) === null))(
    "%s is taken with every setting",
    (name, written) => {
      const { className, settings } = optimizerConfig(written as unknown as JsonObject);
      expect(className).toBe(name);
      const unread = ["name", "jit_compile", "is_legacy_optimizer", "decay", "schedule_decay"];
      for (const [key, value] of Object.entries(written.config)) {
        if (unread.includes(key)) continue;
        expect(settings[key === "lr" ? "learning_rate" : key], key).toEqual(value);
      }
    },
  );

  test.each(all.filter(([, written]) => unsupported(written) !== null))(
    "%s is refused by the name of what it asks for",
    (_name, written) => {
      expect(() => optimizerConfig(written as unknown as JsonObject)).toThrow(unsupported(written)!);
    },
  );
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

test.each(compiled)("what %s was compiled with is taken or refused by name", async (file) => {
  const { trainingConfig } = await readCheckpoint(modelPath(file));
  const { optimizer, optimizer_config, loss } = trainingConfig!;
  const written = (optimizer ?? optimizer_config) as unknown as Written & JsonObject;
  expect(lossOf(loss as LossArgument).name).toMatch(/crossentropy|error/);
  const asked = unsupported(written);
  if (asked === null) expect(written.class_name).toContain(optimizerConfig(written).className);
  else expect(() => optimizerConfig(written)).toThrow(asked);
});
