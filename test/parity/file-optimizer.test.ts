/** Optimizers that go on from a file: Keras's from ours, ours from Keras's. Three steps and three are six. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { freeze } from "../../src/freeze/policy.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/index.ts";
import { farthest, fitHere, fitInKeras, moved, unfitted } from "./fitting.ts";
import type { Keras, KerasRelease } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { measured } from "./measured.ts";

const releases: readonly KerasRelease[] = ["current", "early", "keras2"];
let keras: Readonly<Record<KerasRelease, Keras>>;
beforeAll(() => {
  keras = { current: startKeras(), early: startKeras("early"), keras2: startKeras("keras2") };
});
afterAll(() => {
  for (const release of releases) keras[release].close();
});

const named = (class_name: string, config: JsonObject = {}): JsonObject => ({
  class_name,
  config: { learning_rate: /Adadelta|Ftrl/.test(class_name) ? 0.5 : 0.01, ...config },
});
let files = 0;

interface Case {
  readonly optimizer: JsonObject;
  readonly frozen?: readonly string[];
  readonly ending?: string;
  readonly legacy?: boolean;
}

/** Keras fits three steps and saves, we go on for three; then Keras itself. */
async function expectGoingOnHere(release: KerasRelease, asked: Case): Promise<void> {
  const { optimizer, frozen = [], ending = ".keras", legacy = false } = asked;
  const path = join(keras[release].folder, `theirs-${files++}${ending}`);
  const half = await fitInKeras(keras[release], { epochs: 3, optimizer, frozen, legacy, save: [path] });
  // Keras's fit ends with the averages of weights, and goes on from them.
  const whole = isAveraged(optimizer)
    ? await fitInKeras(keras[release], { epochs: 3, path })
    : await fitInKeras(keras[release], { epochs: 6, optimizer, frozen, legacy });
  const ours = await fitHere(path, {
    epochs: 3,
    optimizer: "file",
    ...(frozen.length > 0 && { freeze: freeze(...frozen) }),
  });
  const apart = farthest(ours, whole.weights);
  measured(`six steps, three of them ours: weights`, apart);
  expect(apart).toBeLessThan(2e-5);
  expect(moved(half.weights, whole.weights)).toBeGreaterThan(1e-3);
}

function isAveraged(optimizer: JsonObject): boolean {
  return (optimizer["config"] as JsonObject)["use_ema"] === true;
}

const classes = [
  named("SGD", { momentum: 0.9, nesterov: true }),
  named("RMSprop", { momentum: 0.5, centered: true }),
  named("Adam", { amsgrad: true }),
  named("AdamW"),
  named("Adagrad"),
  named("Adadelta"),
  named("Adamax"),
  named("Nadam"),
  named("Lion"),
  named("Ftrl"),
  named("Lamb"),
  named("Adafactor"),
  named("Muon"),
  named("Adam", { gradient_accumulation_steps: 2, use_ema: true, ema_momentum: 0.8 }),
];
const withSchedule = named("Adam", {
  learning_rate: {
    class_name: "ExponentialDecay",
    config: { initial_learning_rate: 0.05, decay_steps: 2, decay_rate: 0.5 },
  },
});

describe("we go on from a file of Keras 3.15", () => {
  test.each(classes.map((optimizer) => [optimizer["class_name"], optimizer] as const))(
    "with %s",
    (_, optimizer) => expectGoingOnHere("current", { optimizer }),
  );
  test("with the count of its schedule", () => expectGoingOnHere("current", { optimizer: withSchedule }));
  test("with a frozen layer", () =>
    expectGoingOnHere("current", { optimizer: named("Adam"), frozen: ["second"] }));
  test("in .h5", () => expectGoingOnHere("current", { optimizer: named("Adam"), ending: ".h5" }));
});

describe("we go on from a file of Keras 3.0.5", () => {
  test.each([".keras", ".h5"])("in %s", (ending) =>
    expectGoingOnHere("early", { optimizer: named("RMSprop", { momentum: 0.5 }), ending }),
  );
});

describe("we go on from a file of Keras 2.15", () => {
  test.each([
    [".keras", named("Adam")],
    [".h5", named("Adam")],
    [".h5", named("SGD")],
    [".h5", named("Adagrad")],
  ] as const)("in %s, with %j", (ending, optimizer) => expectGoingOnHere("keras2", { optimizer, ending }));

  test.each([
    named("Adam", { decay: 0.1 }),
    named("RMSprop", { epsilon: 1e-2 }),
    named("RMSprop", { epsilon: 1e-2, momentum: 0.5, centered: true }),
    named("Adagrad", { epsilon: 1e-2 }),
    named("Adadelta", { epsilon: 1e-2 }),
    named("SGD", { momentum: 0.9, decay: 0.1 }),
    named("Adamax", { epsilon: 1e-2 }),
    named("Nadam", { epsilon: 1e-2 }),
    named("Ftrl"),
  ])("of its legacy optimizers, whose formula it keeps: %j", (optimizer) =>
    expectGoingOnHere("keras2", { optimizer, ending: ".h5", legacy: true }),
  );
});

describe("Keras goes on from a file of ours", () => {
  test("that was converted from an .h5 of Keras 2.15", async () => {
    const optimizer = named("Adam");
    const path = join(keras.keras2.folder, "converted.h5");
    await fitInKeras(keras.keras2, { epochs: 3, optimizer, save: [path] });
    const whole = await fitInKeras(keras.keras2, { epochs: 6, optimizer });
    const converted = join(keras.current.folder, "converted.keras");
    await writeCheckpoint(converted, await readCheckpoint(path));
    const theirs = await fitInKeras(keras.current, { epochs: 3, path: converted });
    expect(farthest(await readCheckpoint(path), whole.weights)).toBeGreaterThan(1e-3);
    expect(moved(theirs.weights, whole.weights)).toBeLessThan(2e-5);
  });

  test.each(classes.map((optimizer) => [optimizer["class_name"], optimizer] as const))(
    "with %s",
    async (_, optimizer) => {
      const { path } = await unfitted(keras.current, `unfitted-${files++}.keras`);
      const out = join(keras.current.folder, `ours-${files++}`);
      await fitHere(path, { epochs: 3, optimizer, out });
      const written = join(out, "model.keras");
      expect((await readCheckpoint(written)).optimizerWeights?.length).toBeGreaterThan(2);
      const theirs = await fitInKeras(keras.current, { epochs: 3, path: written });
      const whole = isAveraged(optimizer)
        ? await fitHere(written, { epochs: 3, optimizer: "file" })
        : await fitHere(path, { epochs: 6, optimizer });
      const apart = farthest(whole, theirs.weights);
      measured("six steps, three of them Keras's: weights", apart);
      expect(apart).toBeLessThan(2e-5);
    },
  );

  test("with a frozen layer, also where the model came from an .h5 of Keras 2", async () => {
    const path = join(keras.keras2.folder, "start.h5");
    await fitInKeras(keras.keras2, { epochs: 0, optimizer: named("SGD"), save: [path] });
    const out = join(keras.current.folder, `ours-${files++}`);
    const options = { optimizer: named("Adam"), freeze: freeze("first") };
    const whole = await fitHere(path, { epochs: 6, ...options });
    await fitHere(path, { epochs: 3, ...options, out });
    const theirs = await fitInKeras(keras.current, { epochs: 3, path: join(out, "model.keras") });
    expect(farthest(whole, theirs.weights)).toBeLessThan(2e-5);
    const h5 = join(keras.keras2.folder, "ours-h5");
    await fitHere(path, { epochs: 3, ...options, out: h5, outputFormat: "h5" });
    const early = await fitInKeras(keras.keras2, { epochs: 3, path: join(h5, "model.h5") });
    expect(farthest(whole, early.weights)).toBeLessThan(2e-5);
  });
});
