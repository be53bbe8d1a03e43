import { expect, test } from "vitest";
import type { Split } from "../../src/data/dataset.ts";
import { duplicateWarnings, type HashedSample } from "../../src/data/duplicates.ts";

const sample = (path: string, split: Split, label: number, contentHash: string): HashedSample => ({
  ...{ path, split, label, contentHash },
});
const warnings = (...samples: HashedSample[]) => duplicateWarnings(samples, ["cat", "dog"], "images");

test("samples that differ, and copies in one class and split, are not warned of", () => {
  expect(
    warnings(sample("a", "train", 0, "1"), sample("b", "val", 0, "2"), sample("c", "train", 0, "1")),
  ).toEqual([]);
});

test("copies of train in val and test are counted and named", () => {
  const train = ["1", "2", "3", "4"].map((hash) => sample(`train/${hash}`, "train", 0, hash));
  const val = ["1", "2", "3", "4", "5"].map((hash) => sample(`val/${hash}`, "val", 0, hash));
  expect(warnings(...val, ...train, sample("test/1", "test", 0, "1"))).toEqual([
    "4 of 5 images of val are also in train, byte for byte: val/1 is train/1, val/2 is train/2, val/3 is train/3 and 1 more. The figures of val are not those of new images.",
    "1 of 1 images of test are also in train, byte for byte: test/1 is train/1. The figures of test are not those of new images.",
  ]);
});

test("copies in two classes are named with both", () => {
  expect(warnings(sample("a", "train", 0, "1"), sample("b", "train", 1, "1"))).toEqual([
    "1 images are in two classes, byte for byte: b (dog) is a (cat).",
  ]);
});
