import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import type { SampleRows } from "../../src/features/sample-rows.ts";
import { selectRows, tensorRows, wholeTensor, writableRows } from "../../src/features/sample-rows.ts";

const disk = vi.hoisted(() => ({ room: Number.POSITIVE_INFINITY }));
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const writeSync = (file: number, bytes: Uint8Array, from: number, length: number, at: number): number => {
    if (disk.room < length) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    disk.room -= length;
    return fs.writeSync(file, bytes, from, length, at);
  };
  return { ...fs, writeSync };
});

const folder = mkdtempSync(join(tmpdir(), "sample-rows-"));
afterEach(() => {
  disk.room = Number.POSITIVE_INFINITY;
  rmSync(folder, { recursive: true, force: true });
});

/** 40 rows of a mebibyte: more than stay in memory. */
const shape = [512, 512];
const count = 40;
function rowOf(row: number): Float32Array {
  const values = new Float32Array(512 * 512).fill(row);
  values.set([row + 0.5], 512 * 512 - 1);
  return values;
}

/** Whether the picked rows are, to the bit, those that were written. */
async function areAsWritten(rows: SampleRows, chosen: readonly number[]): Promise<boolean> {
  const { data } = await rows.pick(chosen);
  const { buffer } = data as Float32Array;
  return Buffer.from(buffer).equals(Buffer.concat(chosen.map((row) => Buffer.from(rowOf(row).buffer))));
}

function filled(place: string | undefined): ReturnType<typeof writableRows> {
  const rows = writableRows(shape, count, place);
  for (let row = count - 1; row >= 0; row--) rows.set(row, rowOf(row));
  return rows;
}

test("rows come back to the bit from a file, which has no name", async () => {
  disk.room = 2 ** 40;
  const rows = filled(folder);
  expect(2 ** 40 - disk.room).toBe(rows.byteLength);
  expect(readdirSync(folder)).toEqual([]);
  expect((await rows.pick([39, 0, 7])).shape).toEqual([3, 512, 512]);
  expect(await areAsWritten(rows, [39, 0, 7])).toBe(true);
  rows.dispose();
});

test.each([
  ["a disk that fills up on the way", 17.5 * 2 ** 20],
  ["a full disk", 0],
])("rows are kept in memory with %s", async (_what, room) => {
  disk.room = room;
  const rows = filled(folder);
  expect(await areAsWritten(rows, [0, 22, 23, 39])).toBe(true);
  rows.dispose();
});

test("rows are kept in memory where the folder is a file", async () => {
  writeFileSync(folder, "");
  const rows = filled(folder);
  expect(await areAsWritten(rows, [5])).toBe(true);
  rows.dispose();
});

test("a selection counts its own rows", async () => {
  const all = tensorRows({
    dtype: "float32",
    shape: [4, 2],
    data: Float32Array.of(0, 1, 10, 11, 20, 21, 30, 31),
  });
  const some = selectRows(all, [3, 1]);
  expect(some).toMatchObject({ count: 2, byteLength: 16, rowShape: [2] });
  expect((await some.pick([1])).data).toEqual(Float32Array.of(10, 11));
  expect(await wholeTensor(some)).toEqual({
    dtype: "float32",
    shape: [2, 2],
    data: Float32Array.of(30, 31, 10, 11),
  });
});
