import { describe, expect, test } from "vitest";
import { compiledIn } from "../../src/task/compile-config.ts";

const outputs = ["kind", "age"];

/** Losses and weights of both outputs. */
function lossesOf(training: Parameters<typeof compiledIn>[0], keras: 1 | 2 | 3): unknown {
  return compiledIn(training, outputs, keras)?.outputs.map(({ loss, lossWeight }) => [loss, lossWeight]);
}

// Keras 1 and 2.2 store what was given to compile: `keras/engine/topology.py` and `keras/engine/saving.py`.
describe.each([1, 2] as const)("the compile config of Keras %i for several outputs", (keras) => {
  test("has losses and their weights in a list or by name", () => {
    const losses = [
      ["categorical_crossentropy", 1],
      ["mse", 0.2],
    ];
    expect(lossesOf({ loss: ["categorical_crossentropy", "mse"], loss_weights: [1, 0.2] }, keras)).toEqual(
      losses,
    );
    const named = { loss: { age: "mse", kind: "categorical_crossentropy" }, loss_weights: { age: 0.2 } };
    expect(lossesOf(named, keras)).toEqual(losses);
    expect(lossesOf({ loss: "mse", loss_weights: null }, keras)).toEqual([
      ["mse", 1],
      ["mse", 1],
    ]);
  });

  test("has an output without a loss, which is not trained", () => {
    expect(lossesOf({ loss: { kind: "categorical_crossentropy" } }, keras)).toEqual([
      ["categorical_crossentropy", 1],
      [null, 1],
    ]);
    expect(lossesOf({ loss: [null, "mse"] }, keras)).toEqual([
      [null, 1],
      ["mse", 1],
    ]);
  });

  test("has metrics for every output in a list, and for one by its name", () => {
    const metricsOf = (metrics: string[] | Record<string, string | string[]>): unknown =>
      compiledIn({ loss: "mse", metrics }, outputs, keras)?.outputs.map((output) => output.metrics);
    expect(metricsOf(["accuracy", "mae"])).toEqual([
      ["accuracy", "mae"],
      ["accuracy", "mae"],
    ]);
    expect(metricsOf({ kind: "accuracy" })).toEqual([["accuracy"], []]);
    expect(metricsOf({ kind: ["accuracy", "top_k_categorical_accuracy"], age: ["mae"] })).toEqual([
      ["accuracy", "top_k_categorical_accuracy"],
      ["mae"],
    ]);
  });

  test("names a function of the caller's, which is passed over by its name", () => {
    const compiled = compiledIn(
      { loss: { kind: "focal_loss_of_mine", age: "mse" }, metrics: ["dice_of_mine"] },
      outputs,
      keras,
    );
    expect(compiled?.outputs.map(({ loss }) => loss)).toEqual([undefined, "mse"]);
    expect(compiled?.passedOver).toEqual(["loss focal_loss_of_mine", "metric dice_of_mine"]);
  });
});
