/** Thirty steps on one batch as the run makes them, beside Keras's `fit`. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import type { FinetuneOptions } from "../../src/index.ts";
import type { KerasWeights } from "./differences.ts";
import { farthest, fitHere, fitInKeras, moved, unfitted } from "./fitting.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { measured } from "./measured.ts";

const steps = 30;
let keras: Keras;
let start: { readonly path: string; readonly weights: KerasWeights };
beforeAll(async () => {
  keras = startKeras();
  start = await unfitted(keras);
});
afterAll(() => keras.close());

type Options = Partial<FinetuneOptions>;
const sgd = (learning_rate: JsonObject | number, more: JsonObject = {}): JsonObject => ({
  class_name: "SGD",
  config: { learning_rate, momentum: 0.5, ...more },
});
const schedule = (class_name: string, config: JsonObject): JsonObject => ({ class_name, config });

async function expectSame(options: Options, optimizer: JsonObject): Promise<void> {
  const theirs = await fitInKeras(keras, { epochs: steps, optimizer });
  const ours = await fitHere(start.path, { epochs: steps, ...options });
  const apart = farthest(ours, theirs.weights);
  measured("thirty steps: weights", apart);
  expect(apart).toBeLessThan(2e-5);
  expect(moved(start.weights, theirs.weights)).toBeGreaterThan(1e-3);
}

const schedules: readonly JsonObject[] = [
  schedule("CosineDecay", { initial_learning_rate: 0.1, decay_steps: 25, alpha: 0.1 }),
  schedule("CosineDecay", {
    initial_learning_rate: 0.01,
    decay_steps: 20,
    warmup_target: 0.1,
    warmup_steps: 6,
  }),
  schedule("CosineDecayRestarts", { initial_learning_rate: 0.1, first_decay_steps: 8, m_mul: 0.7 }),
  schedule("ExponentialDecay", {
    initial_learning_rate: 0.1,
    decay_steps: 7,
    decay_rate: 0.6,
    staircase: true,
  }),
  schedule("InverseTimeDecay", { initial_learning_rate: 0.1, decay_steps: 5, decay_rate: 0.5 }),
  schedule("PiecewiseConstantDecay", { boundaries: [9, 19], values: [0.1, 0.05, 0.01] }),
  schedule("PolynomialDecay", { initial_learning_rate: 0.1, decay_steps: 12, power: 2, cycle: true }),
];

describe("weights after 30 steps are Keras's under a schedule of Keras", () => {
  test.each(schedules.map((one) => [one["class_name"], one] as const))("%s", async (_, one) => {
    const config = { momentum: 0.5 };
    await expectSame({ optimizer: { class_name: "SGD", config }, schedule: one }, sgd(one));
  });
});

describe("weights after 30 steps are those of a Keras schedule that says the same", () => {
  const named: readonly (readonly [string, Options, JsonObject])[] = [
    [
      "cosine",
      { schedule: "cosine" },
      schedule("CosineDecay", { initial_learning_rate: 0.1, decay_steps: 30 }),
    ],
    [
      "cosine with a warm-up",
      { schedule: "cosine", warmup: 6 },
      schedule("CosineDecay", {
        initial_learning_rate: 0,
        decay_steps: 24,
        warmup_target: 0.1,
        warmup_steps: 6,
      }),
    ],
    [
      "linear",
      { schedule: "linear" },
      schedule("PolynomialDecay", { initial_learning_rate: 0.1, decay_steps: 30, end_learning_rate: 0 }),
    ],
    [
      "exponential",
      { schedule: "exponential" },
      schedule("ExponentialDecay", { initial_learning_rate: 0.1, decay_steps: 30, decay_rate: 0.01 }),
    ],
    ["one-cycle", { schedule: "one-cycle" }, schedule("OneCycle", { rate: 0.1, steps: 30 })],
    ["a warm-up alone", { warmup: 0.2 }, schedule("Warmed", { rate: 0.1, warmup: 6 })],
  ];
  test.each(named)("%s", async (_, options, one) => {
    await expectSame({ optimizer: sgd(0.1), ...options }, sgd(one));
  });
});

describe("weights after 30 steps are Keras's with", () => {
  const arguments_: readonly (readonly [string, Options, JsonObject])[] = [
    ["accumulated gradients", { accumulate: 4 }, { gradient_accumulation_steps: 4 }],
    ["gradients clipped by norm", { clipNorm: 0.1 }, { clipnorm: 0.1 }],
    ["gradients clipped by value", { clipValue: 0.02 }, { clipvalue: 0.02 }],
    ["gradients clipped together", { globalClipNorm: 0.1 }, { global_clipnorm: 0.1 }],
    ["an average of the weights", { ema: 0.8 }, { use_ema: true, ema_momentum: 0.8 }],
    [
      "an average of the weights over accumulated gradients, clipped together",
      { ema: 0.8, accumulate: 3, globalClipNorm: 0.1 },
      { use_ema: true, ema_momentum: 0.8, gradient_accumulation_steps: 3, global_clipnorm: 0.1 },
    ],
  ];
  test.each(arguments_)("%s", async (_, options, config) => {
    await expectSame({ optimizer: sgd(0.1), ...options }, sgd(0.1, config));
  });
});

describe("weights after 30 steps are Keras's with decaying weights under", () => {
  const classes = [
    ...["SGD", "Adam", "AdamW", "RMSprop", "Lamb", "Muon", "Nadam", "Adamax", "Adagrad", "Adadelta", "Lion"],
    ...["Adafactor", "Ftrl"],
  ];
  test.each(classes)("%s", async (class_name) => {
    const config = { learning_rate: class_name === "Adadelta" ? 0.5 : 0.01 };
    const optimizer = { class_name, config };
    await expectSame(
      { optimizer, weightDecay: 0.02 },
      { class_name, config: { ...config, weight_decay: 0.02 } },
    );
  });

  test("AdamW, but for the biases", async () => {
    const config = { learning_rate: 0.01, weight_decay: 0.05, exclude_from_weight_decay: ["bias"] };
    const optimizer = { class_name: "AdamW", config };
    await expectSame({ optimizer }, optimizer);
  });
});
