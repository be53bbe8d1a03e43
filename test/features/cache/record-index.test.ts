import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { encodeKeyEntry, keyEntryBytes } from "../../../src/features/cache/record.ts";
import { recordIndex } from "../../../src/features/cache/record-index.ts";

const keyOf = (number: number): string => createHash("sha256").update(`${number}`).digest("hex");
const many = 5000;
const entries = Buffer.concat(
  Array.from({ length: many }, (_, number) => encodeKeyEntry({ sampleKey: keyOf(number), checksum: number })),
);

test("each of very many records is found by its key, at its place, and no other key is", () => {
  const index = recordIndex();
  index.addEntries("one", entries.subarray(0, 3000 * keyEntryBytes), 0);
  index.addEntries("two", entries.subarray(3000 * keyEntryBytes), 7);
  expect(index.samples).toBe(many);
  for (let number = 0; number < many; number++) {
    const sampleKey = keyOf(number);
    const [packId, position] = number < 3000 ? ["one", number] : ["two", number - 3000 + 7];
    expect(index.recordAt(index.first(sampleKey))).toEqual({
      ...{ sampleKey, checksum: number, packId, position },
    });
    expect(index.has(keyOf(many + number))).toBe(false);
  }
});

test("an entry that is not whole is left out, and those after it keep their places", () => {
  const changed = Buffer.from(entries.subarray(0, 3 * keyEntryBytes));
  changed[keyEntryBytes + 5] = (changed[keyEntryBytes + 5] ?? 0) ^ 1;
  const index = recordIndex();
  index.addEntries("pack", Buffer.concat([changed, Buffer.alloc(17)]), 0);
  expect(index.samples).toBe(2);
  expect(index.first(keyOf(1))).toBe(-1);
  expect(index.positionOf(index.first(keyOf(2)))).toBe(2);
});

test("a sample has its records in the order in which they came, until the last of them is removed", () => {
  const index = recordIndex();
  const sampleKey = keyOf(1);
  for (const position of [4, 9]) index.add({ sampleKey, checksum: position, packId: "pack", position });
  index.add({ sampleKey: keyOf(2), checksum: 0, packId: "pack", position: 0 });
  expect([index.samples, index.positionOf(index.first(sampleKey))]).toEqual([2, 4]);
  index.remove(index.first(sampleKey));
  expect([index.samples, index.positionOf(index.first(sampleKey))]).toEqual([2, 9]);
  index.remove(index.first(sampleKey));
  index.remove(0);
  expect([index.samples, index.has(sampleKey), index.has(keyOf(2))]).toEqual([1, false, true]);
  index.add({ sampleKey, checksum: 1, packId: "later", position: 0 });
  expect([index.samples, index.recordAt(index.first(sampleKey)).packId]).toEqual([2, "later"]);
});
