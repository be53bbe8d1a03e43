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

function trainer(modelConfig: JsonObject, ...policies: FreezePolicy[]): ReturnType<typeof createTrainer> {
  const layer = [
    { name: "kernel", dtype: "float32" as const, shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
    { name: "bias", dtype: "float32" as const, shape: [2], data: new Float32Array(2) },
  ];
  const weights = new Map(["a", "b"].map((path) => [path, layer] as const));
  const checkpoint = { format: "keras" as const, kerasVersion: "3.15.1", modelConfig, weights, notes: {} };
  return createTrainer(checkpoint, { freeze: policies });
}

describe("what a layer asks of its weights", () => {
  const unknown: readonly (readonly [what: string, settings: JsonObject])[] = [
    ["constraint", { kernel_constraint: { class_name: "RadialConstraint", config: {} } }],
    ["regularizer", { bias_regularizer: { class_name: "OrthogonalRegularizer", config: { factor: 0.1 } } }],
    ["activity regularizer", { activity_regularizer: { class_name: "L2", config: { l2: 0.1 } } }],
  ];
  test.each(unknown)("is refused by name where it cannot be kept: %s", async (what, settings) => {
    await expect(trainer(chain(settings))).rejects.toThrow(new RegExp(`^a: ${what}`));
  });

  test.each(unknown)("is nobody's business on a frozen layer: %s", async (_what, settings) => {
    const frozen = await trainer(chain(settings), freeze("a"));
    frozen.dispose();
  });

  test("is refused of activities that a layer of their own regularizes, unless by nothing", async () => {
    const between = (l2: number): JsonObject => ({
      class_name: "ActivityRegularization",
      config: { name: "calm", l1: 0, l2 },
    });
    await expect(trainer(chain({}, [between(0.1)]))).rejects.toThrow("calm: activity regularizer");
    const calm = await trainer(chain({}, [between(0)]));
    calm.dispose();
  });
});
