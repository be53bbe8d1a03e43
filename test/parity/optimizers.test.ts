import { afterAll, beforeAll, describe, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { expectSameTraining } from "./training-case.ts";

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
