/** Steps whose loss is not a number, on any engine; a GPU computes their update before it tells the loss. */
import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { tensorRows } from "../../src/features/sample-rows.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { uploadBatch } from "../../src/training/batches.ts";
import type { Examples } from "../../src/training/example-set.ts";
import type { Tail } from "../../src/training/tail.ts";
import { trainEpoch } from "../../src/training/train-epoch.ts";
import { smallExamples, smallPhase } from "./small-run.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const optimizers = {
  "plain SGD": { class_name: "SGD", config: {} },
  "Adam with averages": { class_name: "Adam", config: { use_ema: true, ema_momentum: 0.5 } },
  "Adam over three steps": { class_name: "Adam", config: { gradient_accumulation_steps: 3 } },
  "momentum with a global norm": { class_name: "SGD", config: { momentum: 0.9, global_clipnorm: 0.1 } },
};

/** Returns 20 samples, of which the seventh is not a number. */
async function samplesWithNaN(): Promise<Examples> {
  const { features, targets } = smallExamples(20, 1);
  const all = Uint32Array.from({ length: 20 }, (_, row) => row);
  const [rows] = await Promise.all(features.map((source) => source.pick(all)));
  const data = Float32Array.from((rows?.data ?? []) as Float32Array);
  data.fill(Number.NaN, 30, 35);
  return { features: [tensorRows(float32Tensor(data, [20, 5]))], targets };
}

/** Returns all numbers that the next step depends on but the counts of steps. */
async function numbersOf(tail: Tail): Promise<unknown> {
  await tail.fetch();
  const { weights, optimizer } = tail.state();
  return {
    weights: [...weights].map(([path, own]) => [path, own.map(({ data }) => [...(data as Float32Array)])]),
    slots: optimizer.slots.map(({ tensors }) =>
      Object.entries(tensors).map(([name, { data }]) => [name, [...(data as Float32Array)]]),
    ),
  };
}

async function openTail(optimizer: (typeof optimizers)[keyof typeof optimizers]): Promise<Tail> {
  const { tail } = await smallPhase({ epochs: 1, optimizer }).open(new Map(), 0, 1);
  return tail;
}

describe.each(Object.entries(optimizers))("a loss that is not a number under %s", (_name, optimizer) => {
  it("leaves weights and slots as they were, and steps go on", async () => {
    const tail = await openTail(optimizer);
    const [good, bad] = [smallExamples(20, 1), await samplesWithNaN()];
    const rows = Uint32Array.from([4, 5, 6, 7]);
    const step = async (examples: Examples): Promise<number> => {
      const batch = await uploadBatch(examples, rows);
      const { loss } = await tail.trainOnBatch(batch, 0.01, "finite");
      tf.dispose([...batch.features]);
      return loss;
    };
    for (let taken = 0; taken < 2; taken++) await step(good);
    const [before, tensors] = [await numbersOf(tail), tf.memory().numTensors];
    expect(await step(bad)).toBeNaN();
    expect(await numbersOf(tail)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tail.steps).toBe(3);
    expect(await step(good)).toBeGreaterThan(0);
    expect(await numbersOf(tail)).not.toEqual(before);
    tail.dispose();
  });
});

it("a loss that is not a number ends an epoch at its step, with the weights of the step before", async () => {
  const tail = await openTail(optimizers["Adam with averages"]);
  const seen: unknown[] = [await numbersOf(tail)];
  const watching = {
    name: "watching",
    stepEnd: async () => {
      seen.push(await numbersOf(tail));
    },
  };
  const plan = { phase: 1, epoch: 1, iterations: 0, callbacks: [watching], batchSize: 2, seed: 3 };
  const failure = trainEpoch(tail, { ...plan, examples: await samplesWithNaN() });
  await expect(failure).rejects.toThrow(/^hidden: values in epoch 1, step \d+: expected finite numbers/);
  await expect(failure).rejects.toThrow(`step ${seen.length}:`);
  expect(seen.length).toBeGreaterThan(1);
  expect(await numbersOf(tail)).toEqual(seen.at(-1));
  tail.dispose();
});
