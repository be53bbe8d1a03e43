import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { calibrationOf, scoreCurves } from "../../src/report/score-curves.ts";

interface Recorded {
  readonly scores: readonly number[];
  readonly truth: readonly number[];
  readonly roc: readonly (readonly [number, number])[];
  readonly auc: number;
  readonly precisionRecall: readonly (readonly [number, number])[];
  readonly averagePrecision: number;
}

const cases = JSON.parse(readFileSync("fixtures/report/score-curves.json", "utf8")) as readonly Recorded[];

function expectPoints(got: readonly (readonly number[])[], expected: readonly (readonly number[])[]): void {
  expect(got.length).toBe(expected.length);
  for (const [index, point] of got.entries()) {
    for (const [axis, value] of point.entries())
      expect(value).toBeCloseTo(expected[index]?.[axis] ?? NaN, 12);
  }
}

describe.each(cases)("curves of scores", ({ scores, truth, ...expected }) => {
  test("are scikit-learn's, ties among the scores included", () => {
    const curves = scoreCurves("cat", Float64Array.from(scores), Uint8Array.from(truth));
    expectPoints(curves.roc, expected.roc);
    expectPoints(curves.precisionRecall, expected.precisionRecall);
    expect(curves.auc).toBeCloseTo(expected.auc, 12);
    expect(curves.averagePrecision).toBeCloseTo(expected.averagePrecision, 12);
  });
});

test("a class without samples has no area and no precision", () => {
  const { auc, averagePrecision, precisionRecall } = scoreCurves(
    "none",
    Float64Array.of(0.2, 0.8),
    Uint8Array.of(0, 0),
  );
  expect([auc, averagePrecision, precisionRecall.length]).toEqual([null, null, 0]);
});

test("a long curve is thinned, its ends kept", () => {
  const scores = Float64Array.from({ length: 5000 }, (_, index) => index / 5000);
  const { roc } = scoreCurves(
    "cat",
    scores,
    Uint8Array.from(scores, (_, index) => index % 2),
  );
  expect(roc.length).toBe(200);
  expect([roc[0], roc.at(-1)]).toEqual([
    [0, 0],
    [1, 1],
  ]);
});

test("calibration of a model that is right as often as it says has no error, and one too sure has the difference", () => {
  const confidence = Float64Array.from({ length: 100 }, () => 0.75);
  const asOften = Uint8Array.from(confidence, (_, index) => (index < 75 ? 1 : 0));
  expect(calibrationOf(confidence, asOften).expectedError).toBeCloseTo(0, 12);
  const half = Uint8Array.from(confidence, (_, index) => index % 2);
  const { expectedError, bins } = calibrationOf(confidence, half);
  expect(expectedError).toBeCloseTo(0.25, 12);
  expect(bins[7]).toEqual({ from: 0.7, to: 0.8, count: 100, confidence: 0.75, accuracy: 0.5 });
});
