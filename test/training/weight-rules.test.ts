import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import type { FreezePolicy } from "../../src/freeze/policy.ts";
import { freeze } from "../../src/freeze/policy.ts";
import { createTrainer } from "../../src/training/trainer.ts";

/** Dense layers named a and b; `settings` are of `a`. */
function chain(settings: JsonObject, between: readonly JsonObject[] = []): JsonObject {
  const dense = (name: string, inner: JsonObject): JsonObject => ({
    class_name: "Dense",
    config: { name, units: 2, activation: "linear", ...inner },
  });
  const input = { class_name: "InputLayer", config: { name: "input", batch_shape: [null, 2] } };
  const layers: Json[] = [input, dense("a", settings), ...between, dense("b", { activation: "softmax" })];
  return { class_name: "Sequential", config: { name: "chain", layers } };
}

function trainer(
  modelConfig: JsonObject,
  kerasVersion = "3.15.1",
  ...policies: FreezePolicy[]
): ReturnType<typeof createTrainer> {
  const layer = [
    { name: "kernel", dtype: "float32" as const, shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
    { name: "bias", dtype: "float32" as const, shape: [2], data: new Float32Array(2) },
  ];
  const weights = new Map(["a", "b"].map((path) => [path, layer] as const));
  const checkpoint = { format: "keras" as const, kerasVersion, modelConfig, weights, notes: {} };
  return createTrainer(checkpoint, { freeze: policies });
}

describe("what a layer asks of its weights", () => {
  const unknown: readonly (readonly [what: string, settings: JsonObject])[] = [
    ["constraint", { kernel_constraint: { class_name: "RadialConstraint", config: {} } }],
    ["regularizer", { bias_regularizer: { class_name: "OrthogonalRegularizer", config: { factor: 0.1 } } }],
  ];
  test.each(unknown)("is refused by name where it cannot be kept: %s", async (what, settings) => {
    await expect(trainer(chain(settings))).rejects.toThrow(new RegExp(`^a: ${what}`));
  });

  test.each(unknown)("is nobody's business on a frozen layer: %s", async (_what, settings) => {
    const frozen = await trainer(chain(settings), "3.15.1", freeze("a"));
    frozen.dispose();
  });

  test("counts in the loss of Keras 2 on a frozen layer too, so that what is unknown there is refused", async () => {
    const [, settings] = unknown[1]!;
    await expect(trainer(chain(settings), "2.15.0", freeze("a"))).rejects.toThrow(/^a: regularizer/);
  });
});

describe("a regularizer of activities is refused by name", () => {
  const l2 = { class_name: "L2", config: { l2: 0.1 } };
  test("that is not known", async () => {
    const own = { activity_regularizer: { class_name: "Custom>Calm", config: {} } };
    await expect(trainer(chain(own))).rejects.toThrow("a: regularizer Custom>Calm: expected L1, L2");
  });

  test("that compares samples with each other", async () => {
    const orthogonal = { class_name: "OrthogonalRegularizer", config: { factor: 0.1 } };
    await expect(trainer(chain({ activity_regularizer: orthogonal }))).rejects.toThrow(
      "a: activity regularizer: expected a regularizer of class L1, L2 or L1L2, got OrthogonalRegularizer.",
    );
  });

  test("of a layer inside another, frozen or not", async () => {
    const inside = { class_name: "Dense", config: { name: "deep", units: 2, activity_regularizer: l2 } };
    const steps = [
      { class_name: "Reshape", config: { name: "steps", target_shape: [1, 2] } },
      { class_name: "TimeDistributed", config: { name: "each", layer: inside } },
      { class_name: "Reshape", config: { name: "flat", target_shape: [2] } },
    ];
    const expected =
      "each: activity regularizer: expected a regularizer of its outputs, got one inside the layer.";
    await expect(trainer(chain({}, steps))).rejects.toThrow(expected);
    await expect(trainer(chain({}, steps), "3.15.1", freeze("a", "each"))).rejects.toThrow(expected);
  });
});
