import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/errors.ts";
import { scheduleOf, warmupSteps } from "../../src/training/schedules.ts";

const horizon = { learningRate: 0.5, steps: 20, warmup: 0 };
const steps = [...Array(20).keys()];

describe("a schedule by its name", () => {
  test("is constant at the rate", () => {
    expect(new Set(steps.map(scheduleOf("constant", horizon)))).toEqual(new Set([0.5]));
  });

  test("one-cycle rises from a 25th to the rate in a quarter of the steps and falls to almost nothing", () => {
    const rates = steps.map(scheduleOf("one-cycle", horizon));
    expect(rates[0]).toBeCloseTo(0.02, 6);
    expect(rates.indexOf(Math.max(...rates))).toBe(5);
    expect(rates[5]).toBe(0.5);
    expect(rates.slice(5)).toEqual(rates.slice(5).sort((a, b) => b - a));
    expect(rates.at(-1)).toBeLessThan(0.01);
  });

  test("one-cycle takes the share of its rise from the warm-up", () => {
    const rates = steps.map(scheduleOf("one-cycle", { ...horizon, warmup: 0.5 }));
    expect(rates.indexOf(Math.max(...rates))).toBe(10);
  });

  test.each(["cosine", "linear", "exponential", "one-cycle"] as const)(
    "%s keeps its last rate after the planned steps",
    (name) => {
      const rate = scheduleOf(name, horizon);
      expect([20, 25, 1000].map(rate)).toEqual([rate(19), rate(19), rate(19)]);
    },
  );

  test("warm-up counts steps, or a share of the phase's steps where it is below 1", () => {
    expect(warmupSteps({ ...horizon, warmup: 3 })).toBe(3);
    expect(warmupSteps({ ...horizon, warmup: 0.25 })).toBe(5);
    const rates = steps.map(scheduleOf("constant", { ...horizon, warmup: 4 }));
    expect(rates.slice(0, 6)).toEqual([0, 0.125, 0.25, 0.375, 0.5, 0.5]);
  });

  test("a warm-up of the whole phase is refused", () => {
    expect(() => scheduleOf("cosine", { ...horizon, warmup: 20 })).toThrow(UsageError);
    expect(() => scheduleOf("cosine", { ...horizon, warmup: 20 })).toThrow(
      "warmup: expected fewer steps than the 20 of the phase, got 20.",
    );
  });
});

test("a Keras schedule that names neither rate nor steps takes the run's", () => {
  const given = { class_name: "PolynomialDecay", config: { end_learning_rate: 0.1 } };
  const named = { initial_learning_rate: 0.5, decay_steps: 20, end_learning_rate: 0.1 };
  const [taken, stated] = [given, { class_name: "PolynomialDecay", config: named }].map((each) =>
    scheduleOf(each, horizon),
  );
  expect(steps.map(taken!)).toEqual(steps.map(stated!));
});
