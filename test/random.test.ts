import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { glorotUniform, randomGenerator } from "../src/random.ts";

const sequences = JSON.parse(
  readFileSync(new URL("../fixtures/freeze/random.json", import.meta.url), "utf8"),
) as { seed: number; integers: number[] }[];

describe("randomGenerator", () => {
  test.each(sequences)(
    "the generator gives the integers of xoshiro128** for seed $seed",
    ({ seed, integers }) => {
      const generator = randomGenerator(seed);
      expect(integers.map(() => generator.nextInteger())).toEqual(integers);
    },
  );

  test("floats are spread evenly over [0, 1)", () => {
    const generator = randomGenerator(7);
    const counts = new Array<number>(10).fill(0);
    for (let index = 0; index < 10_000; index++) counts[Math.floor(generator.nextFloat() * 10)]!++;
    expect(counts.reduce((sum, count) => sum + count)).toBe(10_000);
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120);
  });
});

describe("glorotUniform", () => {
  test.each<[readonly number[], number, number]>([
    [[2048, 5], 2048, 5],
    [[1, 1, 1024, 7], 1024, 7],
    [[3, 3, 16, 32], 9 * 16, 9 * 32],
  ])("values of a kernel of shape %j reach the Glorot limit and never exceed it", (shape, fanIn, fanOut) => {
    const values = glorotUniform(shape, randomGenerator(0));
    const limit = Math.sqrt(6 / (fanIn + fanOut));
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(values.length).toBe(shape.reduce((product, size) => product * size));
    expect(largest).toBeLessThanOrEqual(limit);
    expect(largest).toBeGreaterThan(0.99 * limit);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.05 * limit);
  });
});
