/** Runs on batches that are made while they are read: the same weights as on the same samples in memory. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Batch, FinetuneOptions, FinetuneResult, Tensor } from "../../src/index.ts";
import { arrayDataset, batchDataset, evaluate, finetune, freezeUntil } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { dense, network } from "../freeze/networks.ts";

const folder = mkdtempSync(join(tmpdir(), "batch-runs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const random = randomGenerator(3);

function tensor(...shape: number[]): Tensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return { dtype: "float32", shape, data: Float32Array.from({ length }, () => random.nextFloat() * 2 - 1) };
}

const [samples, held] = [20, 6];
const whole: Batch = {
  inputs: tensor(samples, 5),
  targets: {
    dtype: "int32",
    shape: [samples],
    data: Int32Array.from({ length: samples }, (_, row) => row % 3),
  },
  sampleWeights: {
    ...tensor(samples),
    data: Float32Array.from({ length: samples }, (_, row) => 0.5 + (row % 4)),
  },
};
const validation: Batch = {
  inputs: tensor(held, 5),
  targets: { dtype: "int32", shape: [held], data: Int32Array.from({ length: held }, (_, row) => row % 3) },
};

const model = {
  format: "keras" as const,
  ...network([
    { name: "given", className: "InputLayer", config: { batch_input_shape: [null, 5] } },
    dense("first", 8, { config: { activation: "tanh" } }),
    dense("second", 6, { config: { activation: "tanh" } }),
    dense("out", 3, { config: { activation: "softmax" } }),
  ]),
  weights: new Map(
    (
      [
        ["first", 5, 8],
        ["second", 8, 6],
        ["out", 6, 3],
      ] as const
    ).map(([name, rows, columns]) => [
      name,
      [
        { ...tensor(rows, columns), name: "kernel" },
        { ...tensor(columns), name: "bias" },
      ],
    ]),
  ),
  notes: {},
};

/** Cuts samples into batches of these sizes, one after the other. */
async function* batchesOf({ inputs, targets, sampleWeights }: Batch, size: number): AsyncGenerator<Batch> {
  const count = (targets as Tensor).shape[0] ?? 0;
  const rows = (given: Tensor, from: number): Tensor => {
    const width = given.data.length / count;
    const to = Math.min(from + size, count);
    return {
      ...given,
      shape: [to - from, ...given.shape.slice(1)],
      data: given.data.slice(from * width, to * width),
    };
  };
  for (let from = 0; from < count; from += size) {
    yield {
      inputs: rows(inputs as Tensor, from),
      targets: rows(targets as Tensor, from),
      ...(sampleWeights && { sampleWeights: rows(sampleWeights as Tensor, from) }),
    };
  }
}

const options: Omit<FinetuneOptions, "data"> = {
  ...{ model, epochs: 3, batchSize: 6, learningRate: 0.05, loss: "sparse_categorical_crossentropy" },
  metrics: ["accuracy"],
  cache: folder,
};

const runs: Readonly<Record<string, Partial<FinetuneOptions>>> = {
  "with a frozen part": { freeze: freezeUntil("second") },
  "with nothing frozen and class weights": { freeze: [], classWeight: "balanced" },
  "in two phases": {
    phases: [
      { freeze: freezeUntil("out"), epochs: 1 },
      { freeze: freezeUntil("second"), epochs: 2 },
    ],
  },
};

describe.each(Object.entries(runs))("a run on batches, %s", (_, own) => {
  let [onArrays, onBatches]: FinetuneResult[] = [];
  beforeAll(async () => {
    const { inputs, targets, sampleWeights } = whole;
    const arrays = arrayDataset(inputs, targets, { ...(sampleWeights && { sampleWeights }), validation });
    const { epochs: _epochs, ...rest } = options;
    const common = own.phases ? rest : options;
    onArrays = await finetune({ ...common, ...own, data: arrays });
    const data = batchDataset(() => batchesOf(whole, 7), { validation: () => batchesOf(validation, 4) });
    onBatches = await finetune({ ...common, ...own, data });
  });

  test("has the weights and the history of one on arrays", () => {
    expect(onBatches?.checkpoint.weights).toEqual(onArrays?.checkpoint.weights);
    const figures = (result: FinetuneResult | undefined) =>
      result?.history.map(({ seconds: _seconds, ...rest }) => rest);
    expect(figures(onBatches)).toEqual(figures(onArrays));
    expect(onBatches?.proof.unchanged).toBe(true);
  });

  test("leaves no file", () => {
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

test("an iterable that this package has not made serves too, and is evaluated to the same figures", async () => {
  const own = { [Symbol.asyncIterator]: () => batchesOf(whole, 7) };
  const { checkpoint } = await finetune({ ...options, epochs: 1, freeze: [], data: own as never });
  const { inputs, targets, sampleWeights } = whole;
  const arrays = arrayDataset(inputs, targets, { ...(sampleWeights && { sampleWeights }) });
  const expected = await evaluate(checkpoint, arrays);
  const found = await evaluate(
    checkpoint,
    batchDataset(() => batchesOf(whole, 7)),
  );
  expect(found.loss).toBeCloseTo(expected.loss, 5);
  expect(found.metrics["accuracy"]).toBeCloseTo(expected.metrics["accuracy"] as number, 6);
});

test("batches of which some have sample weights are refused", async () => {
  async function* some(): AsyncGenerator<Batch> {
    for await (const { sampleWeights, ...batch } of batchesOf(whole, 10))
      yield (batch.targets as Tensor).data[0] === 0
        ? { ...batch, ...(sampleWeights && { sampleWeights }) }
        : batch;
  }
  await expect(finetune({ ...options, data: batchDataset(some) })).rejects.toThrow(
    /^data: expected sample weights in every batch or in none, got them in 1 of 2\.$/,
  );
});
