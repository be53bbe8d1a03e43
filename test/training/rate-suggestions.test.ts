import { describe, expect, test } from "vitest";
import type { RatePoint } from "../../src/training/rate-suggestions.ts";
import { lossFall, rateSuggestions } from "../../src/training/rate-suggestions.ts";

const steps = 100;

/** A curve whose loss at a step, counted from 0, is what `lossAt` says. */
function curveOf(lossAt: (step: number) => number, count = steps): readonly RatePoint[] {
  return Array.from({ length: count }, (_, step) => ({
    learningRate: 1e-7 * 1e8 ** (step / (steps - 1)),
    loss: lossAt(step),
    batchLoss: lossAt(step),
  }));
}

describe("suggested learning rates", () => {
  test("the valley's is in the middle of the only stretch that falls", () => {
    const curve = curveOf((step) => (step < 40 ? 2 + step / 1e3 : step < 70 ? 4 - step / 20 : step / 40));
    const found = rateSuggestions(curve, steps)?.valley ?? 0;
    expect(found).toBeGreaterThan(curve[50]?.learningRate ?? 0);
    expect(found).toBeLessThan(curve[60]?.learningRate ?? 0);
  });

  test("a short steep fall is the steepest, a long gentle one the valley", () => {
    const curve = curveOf((step) => (step < 20 ? 3 : step < 22 ? 5 - step / 10 : 2.9 - (step - 22) / 100));
    const found = rateSuggestions(curve, steps);
    expect(found?.steepest).toBeLessThan(curve[25]?.learningRate ?? 0);
    expect(found?.valley).toBeGreaterThan(curve[45]?.learningRate ?? 0);
  });

  test("the third is a tenth of the rate with the lowest loss", () => {
    const curve = curveOf((step) => (step - 60) ** 2);
    expect(rateSuggestions(curve, steps)?.minimumOverTen).toBe((curve[60]?.learningRate ?? 0) / 10);
  });

  test("there are none where the loss falls nowhere, or is known at too few points", () => {
    expect(
      rateSuggestions(
        curveOf((step) => step),
        steps,
      ),
    ).toBeNull();
    expect(
      rateSuggestions(
        curveOf(() => 1),
        steps,
      ),
    ).toBeNull();
    expect(
      rateSuggestions(
        curveOf((step) => -step, 12),
        steps,
      ),
    ).toBeNull();
  });

  test("the first tenth and the last five points do not count", () => {
    const falls = (step: number): number => (step < 10 || step > 94 ? 100 - step : 1);
    expect(rateSuggestions(curveOf(falls), steps)).toBeNull();
  });

  test("the fall is the share of the start's mean, and none for a curve that only rises", () => {
    expect(
      lossFall(
        curveOf((step) => (step < 10 ? 2 : step < 50 ? 1.5 : 3)),
        steps,
      ),
    ).toBe(0.25);
    expect(
      lossFall(
        curveOf((step) => 1 + step),
        steps,
      ),
    ).toBe(0);
  });
});
