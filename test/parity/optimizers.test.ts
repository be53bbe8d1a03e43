import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { arrayDataset } from "../../src/data/arrays.ts";
import { findLearningRate } from "../../src/run/learning-rate-search.ts";
import type { Tensor } from "../../src/tensor.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { expectSameTraining, makeModel } from "./training-case.ts";

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

const settings: readonly (readonly [name: string, config: JsonObject])[] = [
  ["SGD", { learning_rate: 0.1 }],
  ["SGD", { learning_rate: 0.05, momentum: 0.9 }],
  ["SGD", { learning_rate: 0.05, momentum: 0.9, nesterov: true }],
  ["SGD", { learning_rate: 0.1, weight_decay: 0.1 }],
  ["SGD", { learning_rate: 0.1, clipnorm: 0.1 }],
  ["SGD", { learning_rate: 0.1, clipvalue: 0.02 }],
  ["SGD", { learning_rate: 0.1, momentum: 0.5, global_clipnorm: 0.3 }],
  ["RMSprop", {}],
  ["RMSprop", { rho: 0.7, momentum: 0.9 }],
  ["RMSprop", { centered: true, epsilon: 1e-3 }],
  ["RMSprop", { centered: true, momentum: 0.5, epsilon: 1e-4, weight_decay: 0.01 }],
  ["Adam", {}],
  ["Adam", { epsilon: 1e-3 }],
  ["Adam", { epsilon: 1e-8, beta_1: 0.8, beta_2: 0.99 }],
  ["Adam", { amsgrad: true, global_clipnorm: 0.1 }],
  ["Adam", { weight_decay: 0.05, clipvalue: 0.01 }],
  ["AdamW", {}],
  ["AdamW", { weight_decay: 0.1, epsilon: 1e-4, amsgrad: true }],
  ["Adamax", { learning_rate: 0.002 }],
  ["Nadam", {}],
  ["Adagrad", { learning_rate: 0.01 }],
  ["Adadelta", { learning_rate: 0.5 }],
  ["Lion", {}],
];

describe("one and three steps of each optimizer are Keras's", () => {
  test.each(settings)("%s %j", async (class_name, config) => {
    const optimizer = { class_name, config: { learning_rate: 0.001, ...config } };
    const sides = { bnMode: "inference", frozen: ["stem", "stem_bn"] } as const;
    await expectSameTraining(keras, { network: "residual", optimizer, ...sides }, "residual");
    await expectSameTraining(keras, { network: "chain", optimizer }, "chain");
  });
});

describe("a range test has the losses that Keras has while its rate rises", () => {
  test.each([
    ["SGD", { momentum: 0.9 }],
    ["Adam", {}],
  ] as const)("%s %j", async (class_name, config) => {
    const [steps, startRate, endRate] = [12, 1e-4, 0.5];
    const { name, path } = await makeModel(keras, { network: "chain" });
    const rising = {
      ...{ module: "keras.optimizers.schedules", class_name: "ExponentialDecay", registered_name: null },
      config: {
        initial_learning_rate: startRate,
        decay_steps: 1,
        decay_rate: (endRate / startRate) ** (1 / (steps - 1)),
      },
    };
    const loss = "categorical_crossentropy";
    const theirs = await keras.ask<{ inputs: Tensor[]; targets: Tensor; steps: { loss: number }[] }>(
      "train",
      {
        ...{ name, loss, steps, samples: 6, seed: 0, scale: 1, frozen: [], bn_mode: "follow" },
        optimizer: { class_name, config: { ...config, learning_rate: rising } },
      },
    );
    const { curve } = await findLearningRate({
      ...{ model: path, data: arrayDataset(theirs.inputs, theirs.targets), keepHead: true, freeze: [] },
      ...{ bnMode: "follow", optimizer: { class_name, config }, loss, batchSize: 6, cache: false },
      ...{ steps, startRate, endRate },
    });
    for (const [index, { batchLoss }] of curve.entries()) {
      const expected = theirs.steps[index]?.loss ?? Number.NaN;
      expect(Math.abs(batchLoss - expected) / Math.max(1, expected), `step ${index + 1}`).toBeLessThan(2e-5);
    }
    expect(curve.length).toBeGreaterThan(8);
  });
});
