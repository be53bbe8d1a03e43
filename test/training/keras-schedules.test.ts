import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "../../src/checkpoint.ts";
import { UsageError } from "../../src/errors.ts";
import { kerasSchedule } from "../../src/training/keras-schedules.ts";

interface Recorded {
  readonly schedule: JsonObject;
  /** float32, one a step. */
  readonly rates: string;
}

const file = new URL("../../fixtures/optimizers/schedules.json.gz", import.meta.url);
const { schedules } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as {
  readonly schedules: readonly Recorded[];
};

/** Float32 values between two, 0 where they are the same. */
function stepsApart(a: number, b: number): number {
  const [first, second] = new Int32Array(Float32Array.of(a, b).buffer);
  return Math.abs((first ?? 0) - (second ?? 0));
}

describe("a schedule gives Keras's float32 learning rate at every step", () => {
  test.each(schedules.map(({ schedule, rates }) => [schedule, rates] as const))("%j", (schedule, rates) => {
    const bytes = Buffer.from(rates, "base64");
    const expected = [
      ...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
    ];
    const rateAt = kerasSchedule(schedule);
    // TensorFlow's cosine is not always the nearest float32.
    const mostApart = String(schedule["class_name"]).startsWith("Cosine") ? 1 : 0;
    const apart = expected.map((rate, iteration) => stepsApart(rateAt(iteration), rate));
    expect(Math.max(...apart)).toBeLessThanOrEqual(mostApart);
    expect(apart.filter((steps) => steps > 0).length).toBeLessThan(3);
  });
});

describe("a schedule is refused by name", () => {
  const refusals: readonly (readonly [string, JsonObject, RegExp])[] = [
    [
      "of another class",
      { class_name: "Noam", config: {} },
      /schedule "Noam": expected one of .*CosineDecay/,
    ],
    [
      "without an argument that Keras asks for",
      { class_name: "CosineDecay", config: { initial_learning_rate: 0.1 } },
      /CosineDecay: expected a value of decay_steps, got none/,
    ],
    [
      "with an argument that it does not take",
      {
        class_name: "InverseTimeDecay",
        config: { decay_steps: 1, decay_rate: 1, initial_learning_rate: 1, gamma: 2 },
      },
      /got "gamma"/,
    ],
    [
      "with no steps to decay in",
      { class_name: "PolynomialDecay", config: { initial_learning_rate: 1, decay_steps: 0 } },
      /expected decay_steps above 0, got 0/,
    ],
    [
      "with boundaries that are not one fewer than values",
      { class_name: "PiecewiseConstantDecay", config: { boundaries: [1, 2], values: [1, 2] } },
      /2 boundaries and 2 values/,
    ],
  ];
  test.each(refusals)("%s", (_, schedule, message) => {
    expect(() => kerasSchedule(schedule)).toThrow(UsageError);
    expect(() => kerasSchedule(schedule)).toThrow(message);
  });
});
