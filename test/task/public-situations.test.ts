import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { imageFolder } from "../../src/data/class-folders.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { maskFolder } from "../../src/data/mask-folder.ts";
import { table } from "../../src/data/table.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { DataError, UsageError } from "../../src/errors.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import type { Tensor } from "../../src/tensor.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { folderWith } from "../data/answers.ts";
import type { Figures, PublicSituation, SituationFiles } from "./public-situations.ts";
import {
  answeredHere,
  differences,
  publicSituations,
  refusals,
  rowOf,
  unpacked,
  writeSituation,
} from "./public-situations.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

describe.each(publicSituations)("$name", (situation) => {
  const refusal = refusals[situation.name];

  test(refusal ? "is refused" : "has Keras's figures", async () => {
    const files = await writeSituation(situation, await folderWith());
    const checkpoint = await readCheckpoint(files.model);
    const datasets = await datasetsOf(situation, files);
    expect(datasets.length).toBeGreaterThan(0);
    for (const dataset of datasets) {
      const figures = figuresOf(situation, checkpoint, dataset);
      if (refusal) {
        await expect(figures).rejects.toThrow(refusal);
        await expect(figures).rejects.toSatisfy(
          (error) => error instanceof DataError || error instanceof UsageError,
        );
        continue;
      }
      const { answer, refused } = situation;
      expect(refused !== null).toBe(situation.name in answeredHere);
      const found = await figures;
      for (const [index, expected] of [answer ?? []].flat().entries())
        expect(differences([found].flat()[index] ?? {}, expected)).toEqual([]);
    }
  });
});

test("docs/situations.md has a row of each", () => {
  const page = readFileSync(new URL("../../docs/situations.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| situation"));
  expect(rows).toEqual(publicSituations.map(rowOf));
});

test("an array of fewer values than its shape says is refused, in inputs, targets and weights", async () => {
  const situation = publicSituations.find(({ name }) => name === "class weights of one output");
  if (!situation) throw new Error("the situation is gone");
  const checkpoint = await readCheckpoint((await writeSituation(situation, await folderWith())).model);
  const [dataset] = await datasetsOf(situation, { photos: null, masks: null, table: null });
  if (dataset?.kind !== "arrays") throw new Error("arrays");
  const { inputs, targets } = dataset as { inputs: Tensor; targets: Tensor };
  const short = (tensor: Tensor): Tensor => ({ ...tensor, data: tensor.data.slice(1) });
  const weights: Tensor = { dtype: "float32", shape: [10], data: new Float32Array(10).fill(1) };
  const trainer = await createTrainer(checkpoint, { freeze: [] });
  try {
    await expect(trainer.trainOnBatch(short(inputs), targets)).rejects.toThrow(
      /^given: \[10,4\] holds 40 values: expected as many, got 39\.$/,
    );
    await expect(trainer.trainOnBatch(inputs, short(targets))).rejects.toThrow(/^targets: .*, got 9\.$/);
    await expect(trainer.trainOnBatch(inputs, targets, { sampleWeights: short(weights) })).rejects.toThrow(
      /^sample weights: .*, got 9\.$/,
    );
    await expect(evaluate(checkpoint, { ...dataset, inputs: short(inputs) })).rejects.toThrow(
      /expected as many, got 39/,
    );
  } finally {
    trainer.dispose();
  }
});

test("a metric that Keras cannot compute from probabilities is computed from their classes", async () => {
  const of = (name: string): PublicSituation => {
    const found = publicSituations.find((each) => each.name === name);
    if (!found) throw new Error(name);
    return found;
  };
  const [broken, right] = [of("MeanIoU of probabilities"), of("MeanIoU that takes probabilities")];
  const checkpoint = await readCheckpoint((await writeSituation(right, await folderWith())).model);
  const { trainingConfig } = await readCheckpoint((await writeSituation(broken, await folderWith())).model);
  const [dataset] = await datasetsOf(right, { photos: null, masks: null, table: null });
  if (!dataset || !trainingConfig) throw new Error("a compiled model and its data");
  const { metrics } = await evaluate({ ...checkpoint, trainingConfig }, dataset);
  expect(differences(metrics, { mean_io_u: (right.answer as Figures)["mean_io_u"] ?? Number.NaN })).toEqual(
    [],
  );
});

/** Returns the situation's data in each form that it has. */
async function datasetsOf(
  { arrays, says }: PublicSituation,
  { photos, masks, table: path }: Omit<SituationFiles, "model">,
): Promise<readonly Dataset[]> {
  const found: Dataset[] = [];
  const forEvaluation = true;
  if (photos !== null && path === null)
    found.push(
      await (masks === null
        ? imageFolder(photos, { forEvaluation })
        : maskFolder(photos, masks, { forEvaluation })),
    );
  if (path !== null) {
    const { x, targets, sampleWeight } = says;
    found.push(await table(path, { forEvaluation, x, targets, sampleWeight, outputs: 1 }));
  }
  if (arrays) {
    const { inputs, targets, weights } = arrays;
    const sampleWeights = weights && unpacked(weights);
    found.push({
      kind: "arrays",
      inputs: unpacked(inputs),
      targets: unpacked(targets),
      ...(sampleWeights && { sampleWeights }),
    });
  }
  return found;
}

async function figuresOf(
  { action, says, classWeight }: PublicSituation,
  checkpoint: Checkpoint,
  dataset: Dataset,
): Promise<Figures | readonly Figures[]> {
  if (action === "evaluate") {
    const { x: _x, targets: _targets, sampleWeight: _weight, ...options } = says;
    const { loss, metrics } = await evaluate(checkpoint, dataset, options);
    return { loss, ...metrics };
  }
  if (dataset.kind !== "arrays") throw new Error(`${action}: expected arrays`);
  const { inputs, targets } = dataset;
  const trainer = await createTrainer(checkpoint, {
    freeze: [],
    bnMode: "follow",
    optimizer: { class_name: "SGD", config: { learning_rate: 0.01 } },
    ...(classWeight && { classWeight }),
  });
  try {
    return [await trainer.trainOnBatch(inputs, targets), await trainer.trainOnBatch(inputs, targets)].map(
      ({ ...figures }) => figures as Figures,
    );
  } finally {
    trainer.dispose();
  }
}
