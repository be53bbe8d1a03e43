import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openData } from "../../src/data/model-files.ts";
import { table } from "../../src/data/table.ts";
import { useEngine } from "../../src/engine/backend.ts";
import { finetune } from "../../src/finetune.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import { predictFiles } from "../../src/inference/predict-files.ts";
import { extractFeatures } from "../../src/run/extract-features.ts";
import { planFinetune } from "../../src/run/plan-finetune.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";

const folder = mkdtempSync(join(tmpdir(), "hub-texts-run-"));
const reviews = join(folder, "reviews.csv");
const hub = (name: string): string => join(import.meta.dirname, "..", "..", "fixtures", "hub-texts", name);

beforeAll(() => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  const rows = Array.from({ length: 24 }, (_, index) => {
    const word = index % 2 === 0 ? "delight" : "dull";
    return `the film ${"was a ".repeat(index % 8)}${word},${index % 2 === 0 ? "good" : "bad"}`;
  });
  writeFileSync(reviews, ["text,label", ...rows].join("\n"));
});
afterAll(() => rmSync(folder, { recursive: true }));

test("a text classifier trains its last block on a table of texts, and its file takes token ids and texts", async () => {
  const said: string[] = [];
  const out = join(folder, "run");
  const result = await finetune({
    model: hub("distilbert.keras"),
    data: reviews,
    freeze: freezeUntil("transformer_layer_1"),
    epochs: 2,
    learningRate: 0.05,
    batchSize: 8,
    seed: 3,
    out,
    report: false,
    onProgress: (event) => {
      if (event.kind === "plan") said.push(...event.lines);
      if (event.kind === "warning") said.push(event.message);
    },
  });
  expect(said.join("\n")).toMatch(/preprocessing: BertTokenizer, 12 tokens a text/);
  expect(said.join("\n")).toMatch(/texts: \d+ of \d+ looked at have more than 12 tokens and lose their end/);
  expect(said.join("\n")).toMatch(
    /embeddings.*\n.*transformer_layer_0 .* - .*\n.*transformer_layer_1 .* yes/,
  );
  expect(said.join("\n")).not.toMatch(/cuts the residual block/);
  expect(result.proof.unchanged).toBe(true);
  const losses = result.history.map(({ loss }) => loss);
  expect(losses[1]).toBeLessThan(losses[0] ?? 0);
  expect(result.plan.frontier.map(({ tensor }) => tensor)).toContain(
    "distil_bert_backbone/transformer_layer_0/feedforward_layer_norm",
  );
  // The checkpoint is that of KerasHub, which takes token ids.
  expect(layerGraph(result.checkpoint).inputs.map(({ name }) => name)).toEqual(["padding_mask", "token_ids"]);
  const written = await readCheckpoint(join(out, "model.keras"));
  expect(written.modelConfig["class_name"]).toBe("DistilBertTextClassifier");
  const text = join(folder, "one.txt");
  writeFileSync(text, "the film was a delight");
  const [ours, theirs] = await Promise.all(
    [result.checkpoint, written].map((each) => predictFiles(each, [text])),
  );
  expect(theirs).toEqual(ours);
  const { samples, labels } = await evaluate(written, await openData(written, reviews));
  expect([samples, labels]).toEqual([24, ["bad", "good"]]);
});

test("features of texts are those of the frozen part, one row for each text", async () => {
  const checkpoint = await readCheckpoint(hub("albert.keras"));
  const plan = planFinetune(checkpoint, { freeze: freezeUntil("pooled_dense") });
  const { tensors } = await extractFeatures(
    checkpoint,
    plan,
    await table(reviews, { validationFraction: 0 }),
  );
  expect(tensors.map(({ shape }) => shape)).toEqual([[24, 8]]);
});

test("blocks of DeBERTa that train get the relative positions anew: they are no frozen feature", async () => {
  const checkpoint = await readCheckpoint(hub("deberta.keras"), { weights: false });
  const freeze = freezeUntil("disentangled_attention_encoder_layer_1");
  const { frontier } = planFinetune(checkpoint, { freeze });
  expect(frontier.map(({ tensor }) => tensor)).toEqual([
    "deberta_v3_backbone/disentangled_attention_encoder_layer_0/feedforward_layer_norm",
    "deberta_v3_backbone/disentangled_attention_encoder_layer_1/expand_dims",
  ]);
});

test.each([
  ["bert.h5", "the vocabulary of its tokenizer"],
  ["electra.keras", "a tokenizer"],
])("%s, whose file has no vocabulary, is refused for texts with the way out", async (file, what) => {
  const checkpoint = await readCheckpoint(hub(file));
  await expect(openData(checkpoint, reviews)).rejects.toThrow(
    `model: expected a file with ${what}, got one without, which takes token ids alone. Take the .keras or the preset folder`,
  );
});
