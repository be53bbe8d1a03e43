import { expect, test } from "vitest";
import { permutation } from "../../src/data/permutation.ts";

test("a permutation holds every index once", () => {
  for (const count of [0, 1, 2, 17, 1000]) {
    expect([...permutation(count, 3, 1)].sort((a, b) => a - b)).toEqual([...Array(count).keys()]);
  }
});

test("it is the same for the same seed and epoch, and another for any other", () => {
  const text = (seed: number, epoch: number) => permutation(50, seed, epoch).join();
  expect(text(0, 1)).toBe(text(0, 1));
  const all = [0, 1, 2, 2 ** 32, 2 ** 40].flatMap((seed) => [1, 2, 3, 4].map((epoch) => text(seed, epoch)));
  expect(new Set(all).size).toBe(all.length);
});

test("every index comes to every place about as often", () => {
  const [count, epochs] = [6, 6000];
  const seen = Array.from({ length: count * count }, () => 0);
  for (let epoch = 0; epoch < epochs; epoch++) {
    permutation(count, 7, epoch).forEach((index, place) => {
      seen[index * count + place]!++;
    });
  }
  const expected = epochs / count;
  const chiSquare = seen.reduce((sum, times) => sum + (times - expected) ** 2 / expected, 0);
  // 25 degrees of freedom: above 60 once in ten thousand.
  expect(chiSquare).toBeLessThan(60);
});
