import { describe, expect, test } from "vitest";
import { batchDataset, isBatchSource } from "../../src/data/batches.ts";
import type { Batch } from "../../src/data/dataset.ts";
import { float32Tensor } from "../../src/tensor.ts";

const batch = (value: number, rows = 2, width = 3): Batch => ({
  inputs: float32Tensor(new Float32Array(rows * width).fill(value), [rows, width]),
  targets: float32Tensor(new Float32Array(rows), [rows]),
});

async function* three() {
  for (const value of [1, 2, 3]) yield batch(value);
}

async function read(dataset: AsyncIterable<Batch>): Promise<number[]> {
  const values: number[] = [];
  for await (const { inputs } of dataset)
    values.push((inputs as unknown as { data: number[] }).data[0] ?? Number.NaN);
  return values;
}

describe("a dataset of batches", () => {
  test("gives them anew in each epoch where a function makes them", async () => {
    let calls = 0;
    const dataset = batchDataset(() => {
      calls++;
      return three();
    });
    expect(calls).toBe(0);
    expect([await read(dataset), await read(dataset)]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    expect(calls).toBe(2);
  });

  test("gives them anew where an object starts anew, and from a list", async () => {
    const dataset = batchDataset({ [Symbol.asyncIterator]: three });
    expect([await read(dataset), await read(dataset)].flat()).toEqual([1, 2, 3, 1, 2, 3]);
    const list = batchDataset([batch(4), batch(5)]);
    expect([await read(list), await read(list)].flat()).toEqual([4, 5, 4, 5]);
  });

  test("makes one batch at a time", async () => {
    const made: number[] = [];
    const dataset = batchDataset(async function* () {
      for (const value of [1, 2, 3]) {
        made.push(value);
        yield batch(value);
      }
    });
    for await (const _ of dataset) break;
    expect(made).toEqual([1]);
  });

  test("tells of a generator that is exhausted", async () => {
    const message =
      "data: expected batches for pass 2, got a generator that has given all of them. Pass a function that returns a new one.";
    const dataset = batchDataset(three());
    expect(await read(dataset)).toEqual([1, 2, 3]);
    await expect(read(dataset)).rejects.toThrow(message);
    const same = three();
    const always = batchDataset(() => same);
    await read(always);
    await expect(read(always)).rejects.toThrow(message);
    await expect(read(batchDataset([]))).rejects.toThrow("data: expected batches, got none.");
  });

  test("checks every batch as it comes", async () => {
    const of = (...batches: Batch[]) => read(batchDataset(batches));
    await expect(
      of(batch(1), { ...batch(2), targets: float32Tensor(new Float32Array(3), [3]) }),
    ).rejects.toThrow("data: batch 2: inputs: expected as many samples as targets, 3, got [2,3].");
    await expect(of(batch(1), batch(2, 2, 4))).rejects.toThrow(
      "data: batch 2: inputs: expected [None,3] as in the first batch, got [2,4].",
    );
    await expect(of(batch(1), batch(2, 1))).resolves.toEqual([1, 2]);
  });

  test("has validation batches of its own", async () => {
    const { validation } = batchDataset(three, { validation: () => [batch(9)] });
    expect(validation && (await read(validation))).toEqual([9]);
  });
});

test("functions, generators and lists are batches; records, texts and typed arrays are none", () => {
  expect([three, three(), [batch(1)]].map(isBatchSource)).toEqual([true, true, true]);
  expect([{}, null, "photos", new Float32Array(2), 3].map(isBatchSource)).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
});
