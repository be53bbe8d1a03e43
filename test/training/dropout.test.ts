import { describe, expect, test } from "vitest";
import type { Json, JsonObject } from "../../src/checkpoint.ts";
import { freeze } from "../../src/freeze/policy.ts";
import { float32Tensor, toFloat32 } from "../../src/tensor.ts";
import { createTrainer } from "../../src/training/trainer.ts";

const features = 400;
const samples = 500;
const rate = 0.4;

const input = { class_name: "InputLayer", config: { name: "input", batch_shape: [null, features] } };
const dropout = { class_name: "Dropout", config: { name: "drop", rate } };
const dense = (name: string, units: number): JsonObject => ({
  class_name: "Dense",
  config: { name, units, activation: "linear", use_bias: false },
});

/**
 * What the head's kernel, from zero, gains in each of `steps` steps of a mean absolute error far from its targets, on inputs of
 * one: the mean over the samples of what comes out of the Dropout, for every feature.
 */
async function gains(steps: number, seed: number, frozen: readonly string[] = []): Promise<Float32Array[]> {
  const before = frozen.map((name) => dense(name, features));
  const layers: Json[] = [input, dropout, ...before, dense("head", 1)];
  const identity = Float32Array.from({ length: features ** 2 }, (_, at) =>
    at % (features + 1) === 0 ? 1 : 0,
  );
  const kernel = (data: Float32Array, units: number) => [
    { name: "kernel", ...float32Tensor(data, [features, units]) },
  ];
  const trainer = await createTrainer(
    {
      format: "keras",
      kerasVersion: "3.15.1",
      modelConfig: { class_name: "Sequential", config: { name: "model", layers } },
      weights: new Map([
        ...frozen.map((name) => [name, kernel(identity, features)] as const),
        ["head", kernel(new Float32Array(features), 1)],
      ]),
      notes: {},
    },
    {
      freeze: frozen.length > 0 ? freeze(...frozen) : [],
      loss: "mean_absolute_error",
      optimizer: "SGD",
      learningRate: 1,
      seed,
    },
  );
  const ones = float32Tensor(new Float32Array(samples * features).fill(1), [samples, features]);
  const targets = float32Tensor(new Float32Array(samples).fill(1e6), [samples, 1]);
  const kernels: Float32Array[] = [new Float32Array(features)];
  for (let step = 0; step < steps; step++) {
    await trainer.trainOnBatch(ones, targets);
    kernels.push(toFloat32(trainer.checkpoint().weights.get("head")![0]!));
  }
  trainer.dispose();
  return kernels.slice(1).map((after, step) => after.map((value, at) => value - kernels[step]![at]!));
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function covariance(a: Float32Array, b: Float32Array): number {
  const [middleA, middleB] = [mean(a), mean(b)];
  return mean(a.map((value, at) => (value - middleA) * (b[at]! - middleB)));
}

describe("Dropout in the trained part", () => {
  test("keeps the mean, spreads as a share of kept values does, and draws anew each step", async () => {
    const [first, second] = (await gains(2, 7)) as [Float32Array, Float32Array];
    const variance = rate / (1 - rate) / samples;
    for (const gain of [first, second]) {
      expect(Math.abs(mean(gain) - 1)).toBeLessThan(5 * Math.sqrt(variance / features));
      expect(covariance(gain, gain) / variance).toBeGreaterThan(0.7);
      expect(covariance(gain, gain) / variance).toBeLessThan(1.3);
    }
    expect(Math.abs(covariance(first, second)) / variance).toBeLessThan(0.25);
  });

  test("draws the same numbers from the same seed and others from another", async () => {
    const [once] = await gains(1, 7);
    const [again] = await gains(1, 7);
    const [other] = await gains(1, 8);
    expect(again).toEqual(once);
    expect(other).not.toEqual(once);
  });

  test("is silent before a frozen layer", async () => {
    const [gain] = await gains(1, 7, ["frozen"]);
    for (const value of gain!) expect(value).toBeCloseTo(1, 4);
  });
});
