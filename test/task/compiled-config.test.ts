import { expect, test } from "vitest";
import { compiledConfig } from "../../src/task/compiled-config.ts";
import type { TaskOutput } from "../../src/task/task.ts";

const output: TaskOutput = {
  ...{ name: "kind", kind: "classes", perPosition: false, activation: "softmax", units: 3, head: "kept" },
  ...{ loss: "sparse_categorical_crossentropy", lossWeight: 1, metrics: ["accuracy"], reason: "" },
  weightedMetrics: ["accuracy", "mae"],
};

function metricsOf(outputs: readonly TaskOutput[], kerasVersion: string): readonly unknown[] {
  const optimizer = { class_name: "SGD", config: { learning_rate: 0.1 } };
  const { trainingConfig } = compiledConfig({ outputs, warnings: [] }, optimizer, "keras2", kerasVersion);
  return [trainingConfig?.["metrics"], trainingConfig?.["weighted_metrics"]];
}

const named = (className: string, name: string): object => ({
  class_name: className,
  config: expect.objectContaining({ name }),
});

test("the Keras 2 that resolves metrics before it has seen targets finds them resolved and named in an .h5", () => {
  expect(metricsOf([output], "2.15.0")).toEqual([
    [named("SparseCategoricalAccuracy", "accuracy")],
    [named("SparseCategoricalAccuracy", "weighted_accuracy"), named("MeanAbsoluteError", "mae")],
  ]);
  const binary: TaskOutput = { ...output, units: 1, loss: "binary_crossentropy", weightedMetrics: [] };
  expect(metricsOf([binary], "2.15.0")).toEqual([["accuracy"], null]);
});

test("with the output's name before each where there are several", () => {
  const age: TaskOutput = {
    ...output,
    name: "age",
    kind: "values",
    loss: "mse",
    metrics: ["mae"],
    weightedMetrics: [],
  };
  expect(metricsOf([output, age], "2.15.0")).toEqual([
    {
      kind: [named("SparseCategoricalAccuracy", "kind_accuracy")],
      age: [named("MeanAbsoluteError", "age_mae")],
    },
    {
      kind: [
        named("SparseCategoricalAccuracy", "kind_weighted_accuracy"),
        named("MeanAbsoluteError", "kind_mae"),
      ],
      age: [],
    },
  ]);
});

test("an earlier Keras 2 finds words, which it resolves by the loss", () => {
  expect(metricsOf([output], "2.2.4")).toEqual([["accuracy"], ["accuracy", "mean_absolute_error"]]);
});
