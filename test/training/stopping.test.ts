import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { TrainingRun } from "../../src/training/callbacks/callback.ts";
import { timeLimit } from "../../src/training/callbacks/stopping.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Runs epochs of a phase, each with the seconds of its steps, and returns what the limit says after each. */
function verdicts(limit: number, epochs: readonly (readonly number[])[], judging = 0): unknown[] {
  const callback = timeLimit(limit);
  return epochs.map((steps, index) => {
    steps.forEach((seconds, step) => {
      vi.advanceTimersByTime(1000 * seconds);
      const moment = { phase: 1, epoch: index + 1, step: step + 1, steps: steps.length, iteration: step };
      callback.stepEnd?.(moment, { lr: 0.1, loss: 1, samples: 8 } as never);
    });
    vi.advanceTimersByTime(1000 * judging);
    const seconds = steps.reduce((sum, each) => sum + each, judging);
    const record = { epoch: index + 1, phase: 1, loss: 1, lr: 0.1, seconds };
    return callback.epochEnd?.(record, {} as TrainingRun);
  });
}

test("a time limit ends the run where an epoch as long as the last would pass it", () => {
  expect(
    verdicts(10, [
      [1, 1, 1],
      [1, 1, 1],
      [1, 1, 1],
    ]),
  ).toEqual([undefined, undefined, "stop"]);
});

test("a time limit takes the first epoch, which makes graphs, for as long as its usual steps and its validation", () => {
  // 6.5 seconds are over, and an epoch without graphs takes 3.5.
  expect(
    verdicts(
      10.5,
      [
        [3, 1, 1],
        [1, 1, 1],
      ],
      0.5,
    ),
  ).toEqual([undefined, "stop"]);
  expect(verdicts(8.9, [[3, 1, 1]], 0.5)).toEqual(["stop"]);
  expect(verdicts(5, [[4]])).toEqual(["stop"]);
});
