/** Models of several outputs, labels, values, masks and tags, beside living Keras: weighted and not, and what we write of them. */
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { arrayDataset } from "../../src/data/arrays.ts";
import { finetune } from "../../src/finetune.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import type { MetricValue } from "../../src/task/metrics/metric.ts";
import type { Tensor } from "../../src/tensor.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { measured } from "./measured.ts";

type Figures = Readonly<Record<string, MetricValue>>;

interface Answer {
  readonly inputs: Tensor[];
  readonly targets: Tensor[];
  readonly weights: Tensor[] | null;
  readonly evaluated: Figures;
  readonly steps: readonly Figures[];
  readonly after: Figures;
}

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

const names = ["several", "labels", "regression", "logits", "masks", "binary-masks", "tags"] as const;
const cases = names.flatMap((name) => [false, true].map((weighted) => ({ name, weighted })));

function expectSame(got: Figures, expected: Figures, tolerance = 2e-5): void {
  for (const [name, value] of Object.entries(expected)) {
    const [wanted, found] = [[value].flat(), [got[name] ?? []].flat()];
    expect(found, name).toHaveLength(wanted.length);
    for (const [index, each] of wanted.entries()) {
      const apart = Math.abs(each - found[index]!) / Math.max(1, Math.abs(each));
      measured("tasks", apart);
      expect(apart, `${name}: ${found[index]} for ${each}`).toBeLessThan(tolerance);
    }
  }
}

describe.each(cases)("$name, weighted: $weighted", ({ name, weighted }) => {
  test("evaluates and trains as Keras does", async () => {
    const path = join(keras.folder, `${name}-${weighted}.keras`);
    const answer = await keras.ask<Answer>("task", { name, path, weighted });
    const checkpoint = await readCheckpoint(path);
    const sampleWeights = answer.weights ?? undefined;
    const dataset = arrayDataset(answer.inputs, answer.targets, { ...(sampleWeights && { sampleWeights }) });
    const before = await evaluate(checkpoint, dataset, { batchSize: 4 });
    expectSame({ loss: before.loss, ...before.metrics }, answer.evaluated);
    const trainer = await createTrainer(checkpoint, {
      freeze: [],
      bnMode: "follow",
      optimizer: { class_name: "Adam", config: { learning_rate: 0.01 } },
    });
    try {
      for (const step of answer.steps) {
        const figures = await trainer.trainOnBatch(answer.inputs, answer.targets, {
          ...(sampleWeights && { sampleWeights }),
        });
        expectSame(figures, step);
      }
      const after = await evaluate(trainer.checkpoint(), dataset, { batchSize: 4 });
      expectSame({ loss: after.loss, ...after.metrics }, answer.after, 1e-4);
    } finally {
      trainer.dispose();
    }
  });

  // The mask of the tags is an operation, which Keras does not load from .h5.
  test.each(name === "tags" ? ["keras"] : ["keras", "h5"])(
    "a run leaves a .%s that Keras evaluates to the same figures",
    async (format) => {
      const path = join(keras.folder, `${name}-${weighted}.keras`);
      const { inputs, targets, weights } = await keras.ask<Answer>("task", { name, path, weighted });
      const sampleWeights = weights ?? undefined;
      const data = arrayDataset(inputs, targets, { ...(sampleWeights && { sampleWeights }) });
      const { checkpoint, history } = await finetune({
        model: await readCheckpoint(path),
        data,
        freeze: [],
        epochs: 2,
        batchSize: 4,
        valFraction: 0,
      });
      expect(history).toHaveLength(2);
      const tuned = join(keras.folder, `${name}-tuned.${format}`);
      await writeCheckpoint(tuned, checkpoint);
      const expected = await keras.ask<Figures>("evaluate_file", { path: tuned, inputs, targets, weights });
      const { loss, metrics } = await evaluate(checkpoint, data, { batchSize: 4 });
      const reported = { loss, ...metrics };
      expect(Object.keys(expected).sort()).toEqual(Object.keys(reported).sort());
      expectSame(reported, expected);
    },
  );
});

test.each([
  ["logits", { 0: 0.4, 1: 2.5 }],
  ["labels", { 0: 0.4, 1: 2.5, 2: 1, 3: 1.5 }],
] as const)("%s: class weights count as in Keras", async (name, classWeight) => {
  const path = join(keras.folder, `${name}-class-weight.keras`);
  const answer = await keras.ask<Answer>("task", { name, path, weighted: false, class_weight: classWeight });
  const trainer = await createTrainer(await readCheckpoint(path), {
    ...{ freeze: [], bnMode: "follow", classWeight },
    optimizer: { class_name: "Adam", config: { learning_rate: 0.01 } },
  });
  try {
    for (const step of answer.steps)
      expectSame(await trainer.trainOnBatch(answer.inputs, answer.targets), step);
  } finally {
    trainer.dispose();
  }
});

test.each(["tags", "masks"])(
  "%s of more classes replace the last layer, in a file that Keras evaluates",
  async (name) => {
    const path = join(keras.folder, `${name}-more.keras`);
    const { inputs, targets: own } = await keras.ask<Answer>("task", { name, path, weighted: false });
    const targets = own.map(({ shape, data }) => ({
      ...{ dtype: "float32" as const, shape },
      data: Float32Array.from(data as Float32Array, (_, index) => (index * 7) % 6),
    }));
    const data = arrayDataset(inputs, targets);
    const { checkpoint } = await finetune({
      ...{ model: await readCheckpoint(path), data, classes: 6, epochs: 1, batchSize: 4 },
    });
    const tuned = join(keras.folder, `${name}-more-tuned.keras`);
    await writeCheckpoint(tuned, checkpoint);
    const expected = await keras.ask<Figures>("evaluate_file", {
      path: tuned,
      inputs,
      targets,
      weights: null,
    });
    const { loss, metrics } = await evaluate(checkpoint, data, { batchSize: 4 });
    expectSame({ loss, ...metrics }, expected);
  },
);
