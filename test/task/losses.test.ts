import { expect, test } from "vitest";
import type { LossArgument } from "../../src/task/loss-argument.ts";
import { isClassification, lossNames, lossOf } from "../../src/task/losses.ts";

const spellings: readonly (readonly [LossArgument, string])[] = [
  ["mse", "mean_squared_error"],
  ["MAPE", "mean_absolute_percentage_error"],
  ["CategoricalCrossentropy", "categorical_crossentropy"],
  ["kullback_leibler_divergence", "kl_divergence"],
  ["logcosh", "log_cosh"],
  ["huber_loss", "huber"],
  [{ class_name: "BinaryCrossentropy", config: { reduction: "auto", name: "bce" } }, "binary_crossentropy"],
  [{ module: "builtins", class_name: "function", config: "mean_absolute_error" }, "mean_absolute_error"],
];

test.each(spellings)("%j is Keras's %s", (argument, name) => {
  expect(lossOf(argument).name).toBe(name);
});

test("every loss goes by its own name, and the cross-entropies tell classes apart", () => {
  for (const name of lossNames()) expect(lossOf(name).name).toBe(name);
  expect(lossNames().filter(isClassification)).toEqual(
    lossNames().filter((name) => name.endsWith("crossentropy")),
  );
});

const refused: readonly (readonly [LossArgument, string])[] = [
  ["dice", 'loss "dice"'],
  [{ class_name: "Hinge", config: { reduction: "sum" } }, 'loss hinge: "reduction"'],
  [{ class_name: "Huber", config: { delta: 1, slope: 2 } }, 'loss huber: "slope": expected one of delta'],
  [{ class_name: "CosineSimilarity", config: { axis: 1 } }, "loss cosine_similarity: axis: expected -1"],
  [{ class_name: "SparseCategoricalCrossentropy", config: { ignore_class: 0 } }, "ignore_class"],
];

test.each(refused)("%j is refused by name", (argument, message) => {
  expect(() => lossOf(argument)).toThrow(message);
});
