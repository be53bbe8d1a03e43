import { expect, test } from "vitest";
import { lossNames, lossOf } from "../../src/task/losses/loss.ts";
import type { LossArgument } from "../../src/task/losses/loss-argument.ts";

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

test("every loss goes by its own name", () => {
  for (const name of lossNames()) expect(lossOf(name).name).toBe(name);
});

const refused: readonly (readonly [LossArgument, string])[] = [
  ["mine", 'loss "mine"'],
  [
    { class_name: "Hinge", config: { reduction: "most" } },
    'loss hinge: "reduction": expected one of sum_over',
  ],
  [{ class_name: "Huber", config: { delta: 1, slope: 2 } }, 'loss huber: "slope": expected one of delta'],
  [{ class_name: "Huber", config: { delta: "1" } }, 'loss huber: "delta": expected a number, got "1"'],
  [
    { class_name: "SparseCategoricalCrossentropy", config: { axis: 1 } },
    "loss sparse_categorical_crossentropy: axis: expected -1",
  ],
];

test.each(refused)("%j is refused by name", (argument, message) => {
  expect(() => lossOf(argument)).toThrow(message);
});
