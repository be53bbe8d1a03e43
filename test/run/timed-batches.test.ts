import { afterEach, describe, expect, test, vi } from "vitest";
import { timedBatches } from "../../src/run/timed-batches.ts";

afterEach(() => void vi.restoreAllMocks());

/** Returns a computation that takes `perBatch` and `perSample` seconds by the clock, ten times as long the first time of a size. */
function computation(
  perBatch: number,
  perSample: number,
): { run: (rows: number) => Promise<void>; sizes: number[] } {
  let now = 0;
  const sizes: number[] = [];
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const run = async (rows: number): Promise<void> => {
    const factor = sizes.includes(rows) ? 1 : 10;
    sizes.push(rows);
    now += 1000 * factor * (perBatch + rows * perSample);
  };
  return { run, sizes };
}

describe("the time of batches", () => {
  test("is told apart by their sizes: what a batch takes, and each of its samples", async () => {
    const { run, sizes } = computation(0.02, 0.005);
    const timed = await timedBatches(run, { most: 32, allowed: 5, expected: 0.2 });
    expect(timed.perBatch).toBeCloseTo(0.02, 9);
    expect(timed.perSample).toBeCloseTo(0.005, 9);
    expect(new Set(sizes)).toEqual(new Set([1, 32]));
  });

  test("is found from smaller batches where the largest would take too long", async () => {
    const { run, sizes } = computation(1, 0.5);
    const timed = await timedBatches(run, { most: 32, allowed: 6, expected: 17 });
    expect(Math.max(...sizes)).toBeLessThan(8);
    expect(timed.perSample).toBeGreaterThan(0);
    expect(timed.perBatch + timed.perSample).toBeGreaterThan(1);
  });

  test("of one sample alone is shared out by what a batch is said to take", async () => {
    const { run, sizes } = computation(2, 8);
    const timed = await timedBatches(run, { most: 32, allowed: 1, expected: 258, fixed: 3 });
    expect(new Set(sizes)).toEqual(new Set([1]));
    expect(timed).toEqual({ perBatch: 3, perSample: 7 });
  });

  test("of batches of one sample is the sample's", async () => {
    const { run } = computation(0.5, 0.5);
    const timed = await timedBatches(run, { most: 1, allowed: 10, expected: 1 });
    expect(timed).toEqual({ perBatch: 0, perSample: 1 });
  });

  test("that are all padded is timed on whole ones alone, where there is time for one", async () => {
    const { run, sizes } = computation(0.02, 0.005);
    const padded = { most: 32, allowed: 5, expected: 0.2, isPadded: true };
    const { perBatch, perSample } = await timedBatches(run, padded);
    expect(new Set(sizes)).toEqual(new Set([32]));
    expect(perBatch + 32 * perSample).toBeCloseTo(0.18, 9);
    sizes.length = 0;
    await timedBatches(run, { ...padded, expected: 6 });
    expect(sizes[0]).toBe(1);
  });
});
