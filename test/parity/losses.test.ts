import { afterAll, beforeAll, describe, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import type { TrainingCase } from "./training-case.ts";
import { expectSameTraining } from "./training-case.ts";

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

const optimizer = { class_name: "SGD", config: { learning_rate: 0.1, momentum: 0.9 } };

function loss(class_name: string, config: JsonObject): JsonObject {
  return { class_name, config };
}

const focal = (kind: string, config: JsonObject): JsonObject => loss(`${kind}FocalCrossentropy`, config);

const cases: readonly (readonly [activation: string, loss: string | JsonObject, options: JsonObject])[] = [
  ["softmax", "categorical_crossentropy", {}],
  ["softmax", loss("CategoricalCrossentropy", { label_smoothing: 0.1 }), {}],
  ["softmax", "sparse_categorical_crossentropy", {}],
  ["softmax", "categorical_crossentropy", { separate: "Activation" }],
  ["softmax", "categorical_crossentropy", { separate: "Softmax" }],
  ["softmax", "sparse_categorical_crossentropy", { separate: "Softmax" }],
  ["linear", loss("CategoricalCrossentropy", { from_logits: true, label_smoothing: 0.2 }), {}],
  ["linear", loss("SparseCategoricalCrossentropy", { from_logits: true }), {}],
  ["linear", loss("BinaryCrossentropy", { from_logits: true }), {}],
  ["sigmoid", "categorical_crossentropy", {}],
  ["sigmoid", "sparse_categorical_crossentropy", {}],
  ["sigmoid", "binary_crossentropy", { units: 1 }],
  ["sigmoid", "binary_crossentropy", {}],
  ["sigmoid", loss("BinaryCrossentropy", { label_smoothing: 0.1 }), {}],
  ["sigmoid", "binary_crossentropy", { units: 1, separate: "Activation" }],
  ["softmax", "binary_crossentropy", {}],
  ["linear", "mean_squared_error", {}],
  ["softmax", "mean_squared_error", {}],
  ["sigmoid", "mean_squared_error", {}],
  ["tanh", "mean_absolute_error", {}],
  ["linear", "huber", {}],
  ["linear", loss("Huber", { delta: 0.3 }), {}],
  ["softplus", "poisson", {}],
  ["softmax", "kl_divergence", {}],
  ["linear", "mean_absolute_percentage_error", {}],
  ["softplus", "mean_squared_logarithmic_error", {}],
  ["linear", "log_cosh", {}],
  ["tanh", "cosine_similarity", {}],
  ["tanh", "hinge", {}],
  ["linear", "squared_hinge", {}],
  ["linear", "categorical_hinge", {}],
  ["softmax", "categorical_focal_crossentropy", {}],
  ["linear", focal("Categorical", { from_logits: true, gamma: 1.5, alpha: 0.4, label_smoothing: 0.1 }), {}],
  ["sigmoid", "binary_focal_crossentropy", {}],
  ["sigmoid", focal("Binary", { apply_class_balancing: true, alpha: 0.3 }), { units: 1 }],
  ["linear", focal("Binary", { from_logits: true, gamma: 3, label_smoothing: 0.1 }), {}],
];

describe("one and three steps on each loss are Keras's", () => {
  test.each(cases)("%s, %j, %j", async (activation, name, options) => {
    const network = { network: "chain", options: { activation, ...options } };
    await expectSameTraining(keras, { ...network, optimizer, loss: name }, "losses");
  });

  test.each(["categorical_crossentropy", "sparse_categorical_crossentropy"])(
    "%s at every position of a map",
    async (name) => {
      await expectSameTraining(keras, { network: "dense_prediction", optimizer, loss: name }, "maps");
    },
  );
});

describe("class weights are Keras's", () => {
  const weighted: readonly (readonly [loss: string, options: JsonObject, weights: Record<string, number>])[] =
    [
      ["categorical_crossentropy", {}, { 0: 0.5, 1: 2, 2: 1.5 }],
      ["sparse_categorical_crossentropy", {}, { 0: 3, 1: 0, 2: 1 }],
      ["binary_crossentropy", { units: 1, activation: "sigmoid" }, { 0: 0.25, 1: 4 }],
    ];
  test.each(weighted)("%s, %j, %j", async (name, options, classWeight) => {
    for (const bnMode of ["follow", "inference"] as const) {
      const case_ = { network: "chain", options, optimizer, loss: name, classWeight, bnMode };
      await expectSameTraining(keras, case_, "class weights");
    }
  });
});

describe("saturated scores give Keras's loss and gradients", () => {
  const saturated: readonly Pick<TrainingCase, "options" | "loss" | "optimizer">[] = [
    { optimizer, loss: "categorical_crossentropy" },
    { optimizer, loss: "sparse_categorical_crossentropy", options: { separate: "Softmax" } },
    { optimizer, loss: "categorical_crossentropy", options: { separate: "Activation" } },
    { optimizer, loss: "binary_crossentropy", options: { units: 1, activation: "sigmoid" } },
    { optimizer, loss: "binary_crossentropy", options: { activation: "sigmoid", separate: "Activation" } },
  ];
  test.each(saturated)("$loss $options", async (case_) => {
    for (const scale of [6, 40]) {
      await expectSameTraining(keras, { network: "chain", scale, ...case_ }, `saturated, x${scale}`);
    }
  });
});
