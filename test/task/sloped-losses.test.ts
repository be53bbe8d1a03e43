import { beforeAll, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import type { Judged } from "../../src/task/losses/batch-loss.ts";
import { lossGradient } from "../../src/task/losses/batch-loss.ts";
import { lossOf } from "../../src/task/losses/loss.ts";
import type { Output } from "../../src/task/losses/output.ts";

beforeAll(async () => {
  await ensureEngine();
});

const random = (shape: readonly number[], seed: number): tf.Tensor =>
  tf.randomNormal([...shape], 0, 2, "float32", seed);
const shares = (shape: readonly number[], seed: number): tf.Tensor => tf.softmax(random(shape, seed));
const indices = (shape: readonly number[]): tf.Tensor =>
  tf.floor(tf.randomUniform([...shape], 0, 4, "float32", 3));

type Case = readonly [
  name: string,
  config: JsonObject,
  activation: Output["activation"],
  values: readonly number[],
  targets: () => tf.Tensor,
];

const cases: readonly Case[] = [
  ["MeanSquaredError", {}, "none", [6, 3], () => random([6, 3], 2)],
  ["MeanSquaredError", { reduction: "sum" }, "none", [6, 3], () => random([6, 3], 2)],
  ["MeanSquaredError", { reduction: "none" }, "none", [6, 2, 3], () => random([6, 2, 3], 2)],
  ["CategoricalCrossentropy", { label_smoothing: 0.1 }, "softmax", [6, 4], () => shares([6, 4], 2)],
  ["CategoricalCrossentropy", { from_logits: true }, "none", [2, 3, 4], () => random([2, 3, 4], 2)],
  ["SparseCategoricalCrossentropy", {}, "softmax", [6, 4], () => indices([6])],
  ["SparseCategoricalCrossentropy", {}, "softmax", [2, 3, 4], () => indices([2, 3, 1])],
  ["BinaryCrossentropy", { label_smoothing: 0.2 }, "sigmoid", [6, 3], () => shares([6, 3], 2)],
  ["BinaryCrossentropy", { from_logits: true, reduction: "sum" }, "none", [6, 1], () => shares([6, 1], 2)],
];

test.each(cases)(
  "%s %j computes the gradient that the tape computes",
  (name, config, activation, shape, targets) => {
    const loss = lossOf({ class_name: name, config });
    const { sloped, ...byTape } = loss;
    const values = random(shape, 1);
    const judged: Judged = {
      output: { values, activation, carried: "none" },
      targets: targets(),
      meanOver: "visible",
    };
    expect(sloped?.(judged.targets, judged.output)).toMatchObject({ factor: expect.any(Number) });
    const [short, long] = [loss, byTape].map((each) => lossGradient(each, judged, 0.7));
    for (const part of ["value", "gradient"] as const) {
      const [got, expected] = [short![part], long![part]];
      expect(got.shape).toEqual(expected.shape);
      const most = tf.max(tf.abs(tf.sub(got, expected))).dataSync()[0]!;
      expect(most / Math.max(1, tf.max(tf.abs(expected)).dataSync()[0]!), part).toBeLessThan(1e-6);
    }
  },
);

test.each([
  ["MeanSquaredError", "sigmoid", [6, 3]],
  ["CategoricalCrossentropy", "none", [6, 3]],
] as const)("%s of an output after %s takes the tape", (name, activation, shape) => {
  const output: Output = { values: random(shape, 1), activation, carried: "none" };
  expect(lossOf(name).sloped?.(shares(shape, 2), output)).toBe(null);
});
