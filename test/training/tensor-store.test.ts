import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { lazyTensor } from "../../src/lazy-tensor.ts";
import { tensorStore } from "../../src/training/tensor-store.ts";

const folder = mkdtempSync(join(tmpdir(), "tensor-store-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Weights and an optimizer that read what `of` returns at the time. */
function moving(of: () => number) {
  const tensor = <Facts extends object>(facts: Facts, size: number) =>
    lazyTensor({ ...facts, dtype: "float32" as const, shape: [size] }, () =>
      new Float32Array(size).fill(of()),
    );
  return {
    weights: new Map([["dense", [tensor({ name: "kernel" }, 5), tensor({ name: "bias" }, 2)]]]),
    optimizer: {
      phase: 1,
      state: { className: "SGD", slots: [{ layer: "dense", tensors: { momentum: tensor({}, 5) } }] },
    },
  };
}

function valuesIn({ weights, optimizer }: ReturnType<typeof moving>): number[][] {
  const tensors = [...weights.get("dense")!, optimizer.state.slots[0]!.tensors.momentum];
  return tensors.map(({ data }) => [...(data as Float32Array)]);
}

describe.each([
  ["in a file", folder, 0],
  ["in memory, where they are few", folder, 1000],
  ["in memory, where no file can be made", "/dev/null/nowhere", 0],
])("a store of tensors %s", (_, place, memoryBytes) => {
  test("keeps the values of the moment, and everything else", () => {
    const store = tensorStore(place, memoryBytes);
    let now = 1;
    const kept = store.keep(moving(() => now));
    now = 2;
    expect(valuesIn(kept)).toEqual([
      [1, 1, 1, 1, 1],
      [1, 1],
      [1, 1, 1, 1, 1],
    ]);
    expect(kept.weights.get("dense")!.map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual([
      { name: "kernel", dtype: "float32", shape: [5] },
      { name: "bias", dtype: "float32", shape: [2] },
    ]);
    expect(kept.optimizer.state.className).toBe("SGD");
    const again = store.keep(moving(() => now));
    now = 3;
    expect(valuesIn(again)).toEqual([
      [2, 2, 2, 2, 2],
      [2, 2],
      [2, 2, 2, 2, 2],
    ]);
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("a lazy tensor reads its values each time, and a copy of it holds them", () => {
  let reads = 0;
  const lazy = lazyTensor({ dtype: "float32", shape: [1] }, () => new Float32Array([++reads]));
  expect(lazy.shape).toEqual([1]);
  expect(reads).toBe(0);
  const copy = { ...lazy };
  expect([lazy.data[0], copy.data[0], copy.data[0]]).toEqual([2, 1, 1]);
});
