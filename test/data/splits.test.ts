import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { foldsOf, heldOut, type SplitItem, withFold } from "../../src/data/splits.ts";
import { randomGenerator } from "../../src/random.ts";

const hashOf = (text: string) => createHash("sha256").update(text).digest("hex");

/** `count` samples that differ, with labels in turn. */
function items(count: number, labels: number, groupOf?: (index: number) => string): SplitItem[] {
  return Array.from({ length: count }, (_, index) => ({
    hash: hashOf(`sample ${index}`),
    label: index % labels,
    ...(groupOf && { group: groupOf(index) }),
  }));
}

describe("samples that are held out", () => {
  test("are a share of each class, at least one, and never all", () => {
    const unequal = [...items(40, 1), { hash: hashOf("x"), label: 1 }, { hash: hashOf("y"), label: 1 }];
    const held = heldOut(unequal, 0.2);
    expect([...held].filter((index) => index < 40)).toHaveLength(8);
    expect([...held].filter((index) => index >= 40)).toHaveLength(1);
    expect(heldOut([{ hash: "a", label: 0 }], 0.5).size).toBe(0);
  });

  test("are whole groups", () => {
    const grouped = items(60, 2, (index) => `patient ${Math.floor(index / 5)}`);
    const held = heldOut(grouped, 0.2);
    const sides = new Map<string, Set<boolean>>();
    grouped.forEach(({ group = "" }, index) => {
      sides.set(group, (sides.get(group) ?? new Set()).add(held.has(index)));
    });
    expect([...sides.values()].every((side) => side.size === 1)).toBe(true);
    expect(held.size).toBeGreaterThanOrEqual(12);
    expect(held.size).toBeLessThanOrEqual(20);
  });

  test("take a copy of a sample in another group along with it", () => {
    const copies = items(30, 1, (index) => `group ${index}`).map((item, index) =>
      index % 2 ? item : { ...item, hash: hashOf("the same") },
    );
    const held = heldOut(copies, 0.3);
    expect(new Set(copies.flatMap((_, index) => (index % 2 ? [] : [held.has(index)]))).size).toBe(1);
  });

  test("do not depend on the order of the samples", () => {
    const all = items(50, 3);
    const backwards = [...all].reverse();
    const hashes = (given: SplitItem[]) => [...heldOut(given, 0.2)].map((index) => given[index]?.hash).sort();
    expect(hashes(backwards)).toEqual(hashes(all));
  });

  test("are a share of all where samples have no class", () => {
    expect(
      heldOut(
        items(100, 1).map(({ hash }) => ({ hash })),
        0.25,
      ).size,
    ).toBe(25);
  });
});

describe("folds", () => {
  test("have equally many samples of each class, to within one", () => {
    const all = items(103, 3);
    const folds = foldsOf(all, 5);
    for (const label of [0, 1, 2]) {
      const sizes = [0, 1, 2, 3, 4].map(
        (fold) => all.filter((item, index) => item.label === label && folds[index] === fold).length,
      );
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    }
  });

  test("are the same for the same samples in any order", () => {
    const all = items(40, 2);
    const order = Array.from({ length: 40 }, (_, index) => (index * 7) % 40);
    const shuffled = order.map((index) => all[index] as SplitItem);
    const folds = foldsOf(all, 4);
    expect(foldsOf(shuffled, 4)).toEqual(order.map((index) => folds[index]));
  });

  test("keep groups and copies together", () => {
    const random = randomGenerator(3);
    const all = Array.from({ length: 120 }, (_, index) => ({
      hash: hashOf(`${index % 90}`),
      label: index % 2,
      group: `patient ${Math.floor(random.nextFloat() * 25)}`,
    }));
    const folds = foldsOf(all, 3);
    for (const key of ["hash", "group"] as const) {
      const seen = new Map<string, number | undefined>();
      all.forEach((item, index) => {
        if (seen.has(item[key])) expect(folds[index]).toBe(seen.get(item[key]));
        seen.set(item[key], folds[index]);
      });
    }
  });

  test("are refused where there are too few samples or groups, or no whole number of them", () => {
    expect(() => foldsOf(items(3, 1), 5)).toThrow("folds: expected 5 samples that differ or more, got 3.");
    expect(() =>
      foldsOf(
        items(9, 1, (index) => `${index % 2}`),
        3,
      ),
    ).toThrow("folds: expected 3 groups or more, got 2.");
    expect(() => foldsOf(items(9, 1), 1)).toThrow("folds: expected a whole number of 2 or more, got 1.");
    expect(() => foldsOf(items(9, 1), 2.5)).toThrow(/got 2\.5/);
  });

  test("become splits one after the other, and test samples stay where they are", () => {
    const dataset = {
      kind: "images" as const,
      classNames: ["a"],
      samples: [
        { path: "1", split: "train" as const, label: 0 },
        { path: "2", split: "val" as const, label: 0 },
        { path: "3", split: "test" as const, label: 0 },
      ],
    };
    const splits = (fold: number) =>
      withFold(dataset, [0, 1, undefined], fold).samples.map(({ split }) => split);
    expect(splits(0)).toEqual(["val", "train", "test"]);
    expect(splits(1)).toEqual(["train", "val", "test"]);
  });
});
