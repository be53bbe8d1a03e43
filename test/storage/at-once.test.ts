import { expect, test } from "vitest";
import { forEachAtOnce } from "../../src/storage/at-once.ts";

test("every item is worked on, in order, so many at once and no more", async () => {
  const begun: number[] = [];
  let [running, most] = [0, 0];
  await forEachAtOnce([1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    begun.push(item);
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
  });
  expect(begun).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(most).toBe(3);
});

test("a failure is the caller's, and nothing begins after it", async () => {
  const begun: number[] = [];
  const work = async (item: number) => {
    begun.push(item);
    await new Promise(setImmediate);
    if (item === 2) throw new Error("two");
  };
  await expect(forEachAtOnce([1, 2, 3, 4, 5, 6, 7, 8], 2, work)).rejects.toThrow("two");
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  expect(begun.length).toBeLessThan(6);
});
