/** Runs on folders of texts, beside the same texts as arrays. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { arrayDataset } from "../../src/data/arrays.ts";
import { imageFolder, textFolder } from "../../src/data/class-folders.ts";
import type { Checkpoint } from "../../src/index.ts";
import {
  evaluate,
  extractFeatures,
  finetune,
  freezeThrough,
  planFinetune,
  predict,
  readCheckpoint,
  useEngine,
} from "../../src/index.ts";
import { editLayers, withConfig } from "../../src/topology/edit-config.ts";
import { folderWith } from "../data/answers.ts";

const sentences = {
  dull: ["a dull film", "dull, dull", "the last scene was dull", "never the film again, never"],
  fine: ["a delight", "the film was a delight to the last", "delight in the café", "the best"],
};
const labels = Object.values(sentences).flatMap((texts, label) => texts.map(() => label));
const arrays = arrayDataset(
  { dtype: "string", shape: [8, 1], data: Object.values(sentences).flat() },
  { dtype: "int32", shape: [8], data: Int32Array.from(labels) },
);

let reviews: Checkpoint;
let directory: string;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  reviews = await readCheckpoint("fixtures/texts/k3-reviews.keras");
  directory = await folderWith(
    Object.fromEntries(
      Object.entries(sentences).flatMap(([name, texts]) =>
        texts.map((text, index) => [`${name}/${index}.txt`, text] as const),
      ),
    ),
  );
});

/** The model with texts as long as they are. */
function open(): Checkpoint {
  const modelConfig = editLayers(reviews.modelConfig, ({ path, json }) =>
    path === "vectorize" ? withConfig(json, { output_sequence_length: null }) : json,
  );
  return { ...reviews, modelConfig };
}

test("a vocabulary and a frozen Embedding run once a text, with what follows them without weights", async () => {
  const naming = await readCheckpoint("fixtures/texts/k3-naming.keras");
  const frontier = (checkpoint: Checkpoint): string[] =>
    planFinetune(checkpoint, { freeze: freezeThrough("embedding") }).frontier.map(({ tensor }) => tensor);
  expect(frontier(naming)).toEqual(["flat"]);
  expect(frontier(reviews)).toEqual(["pool"]);
});

describe("texts of files", () => {
  test("have the features that they have as arrays, then from the cache", async () => {
    const plan = planFinetune(reviews, { freeze: freezeThrough("hidden") });
    const cache = await folderWith();
    const dataset = await textFolder(directory);
    const first = await extractFeatures(reviews, plan, dataset, { cache });
    const again = await extractFeatures(reviews, plan, dataset, { cache });
    expect(first.tensors).toEqual((await extractFeatures(reviews, plan, arrays)).tensors);
    expect(again.tensors).toEqual(first.tensors);
    expect([first.cached, first.extracted, again.cached, again.extracted]).toEqual([0, 8, 8, 0]);
  });

  test("are judged as they are as arrays", async () => {
    const [files, given] = await Promise.all([
      evaluate(reviews, await textFolder(directory), { batchSize: 3 }),
      evaluate(reviews, arrays),
    ]);
    expect(files.loss).toBeCloseTo(given.loss, 6);
    expect(files.confusion).toEqual(given.confusion);
    expect([files.samples, files.labels]).toEqual([8, ["dull", "fine"]]);
  });

  test("of no fixed length are tuned too: their features are not kept, which a warning says", async () => {
    const warnings: string[] = [];
    const options = { freeze: [], epochs: 6, learningRate: 0.05, keepHead: true } as const;
    const { history, features, checkpoint } = await finetune({
      model: open(),
      data: directory,
      ...options,
      onProgress: (event) => event.kind === "warning" && warnings.push(event.message),
    });
    expect(warnings.filter((message) => message.startsWith("feature cache:"))).toHaveLength(1);
    expect(features.cached).toBe(0);
    expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss);
    const [outputs] = await predict(checkpoint, arrays.inputs);
    expect(outputs!.shape).toEqual([8, 2]);
  });
});

test("a dataset of images for a model that takes texts is refused by name", async () => {
  const pictures = await imageFolder("fixtures/demo/photos");
  await expect(finetune({ model: reviews, data: pictures })).rejects.toThrow(
    "data: expected texts, which reviews takes, got images. Pass a folder of texts.",
  );
  await expect(evaluate(reviews, pictures)).rejects.toThrow();
});

test("a model of several inputs takes no folder, and says what it takes", async () => {
  const columns = await readCheckpoint(join("fixtures", "texts", "k3-columns.keras"));
  await expect(finetune({ model: columns, data: directory })).rejects.toThrow(
    "expected one input of images or texts, got 2 inputs (city, year). Train it on arrays.",
  );
});
