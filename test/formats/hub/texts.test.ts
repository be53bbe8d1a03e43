import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withoutHub } from "../../../src/architectures/hub/hub-models.ts";
import { withoutTextInput, withTextInput } from "../../../src/architectures/hub/text-preprocessor.ts";
import type { Checkpoint } from "../../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { replaceHead } from "../../../src/head/replace-head.ts";
import { predict } from "../../../src/inference/predict.ts";
import { writeCheckpoint as writeModel } from "../../../src/inference/write-checkpoint.ts";
import type { Tensor } from "../../../src/tensor.ts";
import { createTrainer } from "../../../src/training/trainer.ts";
import { packedTensor } from "./hub-fixtures.ts";
import { idsFor, textPath, textRecords, textTensor } from "./text-fixtures.ts";

const classifiers = textRecords.filter(([, { texts }]) => texts !== undefined);
const folder = mkdtempSync(join(tmpdir(), "hub-texts-"));

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(folder, { recursive: true }));

function difference(a: Tensor | undefined, b: Tensor): number {
  const values = b.data as Float32Array;
  const scale = Math.max(...values.map(Math.abs));
  return Math.max(...values.map((value, index) => Math.abs(value - Number(a?.data[index])))) / scale;
}

const onlyWeights = ({ weights }: Checkpoint) => [...weights].filter(([, layer]) => layer.length > 0);

describe.each(textRecords)("%s of KerasHub", (name, record) => {
  const file = textPath(`${name}.keras`);

  test("predicts what KerasHub predicts from token ids", async () => {
    const checkpoint = await readCheckpoint(file);
    const outputs = await predict(checkpoint, idsFor(checkpoint));
    const names = Object.keys(record.outputs).sort();
    expect(outputs).toHaveLength(names.length);
    for (const [index, output] of names.entries()) {
      expect(difference(outputs[index], packedTensor(record.outputs[output]!)), output).toBeLessThan(1e-5);
    }
  });

  test("is written as the class that it was, config, vocabulary and weights to the bit", async () => {
    const checkpoint = await readCheckpoint(file);
    const again = join(folder, `${name}.keras`);
    await writeCheckpoint(again, checkpoint);
    const reread = await readCheckpoint(again);
    expect(reread.modelConfig).toEqual(checkpoint.modelConfig);
    expect(reread.notes).toEqual(checkpoint.notes);
    expect(onlyWeights(reread)).toEqual(onlyWeights(checkpoint));
  });
});

describe.each(classifiers)("the classifier %s of KerasHub", (name, { texts: given, scores, moved }) => {
  const file = textPath(`${name}.keras`);

  test("predicts what KerasHub predicts from texts, and is itself again after that", async () => {
    const checkpoint = await readCheckpoint(file);
    const reading = withTextInput(checkpoint);
    const [output] = await predict(reading, textTensor(given ?? []));
    expect(difference(output, packedTensor(scores!))).toBeLessThan(1e-5);
    expect(withoutTextInput(reading)).toEqual(checkpoint);
  });

  test("one step moves each weight as far as in KerasHub", async () => {
    const checkpoint = await readCheckpoint(file);
    const isLinear = !packedTensor(scores!).data.every((value) => Number(value) >= 0);
    const trainer = await createTrainer(checkpoint, {
      freeze: [],
      optimizer: { class_name: "SGD", config: { learning_rate: 0.5 } },
      loss: { class_name: "SparseCategoricalCrossentropy", config: { from_logits: isLinear } },
    });
    await trainer.trainOnBatch(idsFor(checkpoint), { dtype: "int32", shape: [2], data: Int32Array.of(0, 2) });
    const after = trainer.checkpoint().weights;
    trainer.dispose();
    const found = new Map<string, number>();
    for (const [path, layer] of checkpoint.weights) {
      for (const [index, { name: weight, data }] of layer.entries()) {
        const now = after.get(path)?.[index]?.data ?? [];
        const [was, is] = [data, now].map((values) => Array.from(values as Float32Array));
        const distance = was!.reduce((sum, value, at) => sum + Math.abs(value - (is?.[at] ?? 0)), 0);
        found.set(plainName(`${path}/${weight}`), distance);
      }
    }
    const expected = Object.entries(moved ?? {}).map(([path, value]) => [plainName(path), value] as const);
    const largest = Math.max(...expected.map(([, value]) => value));
    expect(expected.map(([path]) => path).sort()).toEqual([...found.keys()].sort());
    for (const [path, value] of expected) {
      expect(Math.abs((found.get(path) ?? 0) - value) / largest, path).toBeLessThan(1e-4);
    }
  });

  test("keeps its vocabulary in a preset folder, and with a new head", async () => {
    const checkpoint = replaceHead(await readCheckpoint(file), { classes: 4 });
    const preset = join(folder, name);
    await writeCheckpoint(preset, checkpoint, { format: "hub" });
    const reread = await readCheckpoint(preset);
    expect(onlyWeights(reread)).toEqual(onlyWeights(checkpoint));
    const [[one], [other]] = (await Promise.all(
      [checkpoint, reread].map((each) => predict(withTextInput(each), textTensor(["the film"]))),
    )) as [[Tensor], [Tensor]];
    expect(one.shape).toEqual([1, 4]);
    expect(other).toEqual(one);
  });
});

/** Returns a weight's path without the backbone, under the names that KerasHub gives to the layers of attention. */
function plainName(path: string): string {
  return path
    .replace(/^\w+_backbone\//, "")
    .replace(/\/_?(query|key|value|output)_dense\//, "/$1/")
    .replace("/attention_output/", "/output/")
    .replace(/(?:^|\/)rel_embeddings?_layer_norm\//, "/layer_norm/")
    .replace(/^.*(?=rel_embedding|layer_norm\/(?:gamma|beta)$)(?=rel)/, "")
    .replace(/^(?:\w+\/)?(token_embedding|position_embedding)\//, "$1/");
}

test.each(["bert.h5", "bert-preset"])("%s holds what the .keras holds", async (file) => {
  const checkpoint = await readCheckpoint(textPath(file));
  const expected = await readCheckpoint(textPath("bert.keras"));
  expect(new Map(onlyWeights(checkpoint))).toEqual(new Map(onlyWeights(expected)));
  const [output] = await predict(checkpoint, idsFor(checkpoint));
  expect(output).toEqual((await predict(expected, idsFor(expected)))[0]);
});

test("a preset folder is written as KerasHub writes it, file by file", async () => {
  const again = join(folder, "again");
  await writeCheckpoint(again, await readCheckpoint(textPath("bert-preset")), { format: "hub" });
  const files = readdirSync(textPath("bert-preset"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/metadata\.json|\.h5$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(textPath("bert-preset").length + 1));
  expect(files).toContain(join("assets", "tokenizer", "vocabulary.txt"));
  for (const file of files) {
    const [ours, theirs] = [again, textPath("bert-preset")].map((each) =>
      readFileSync(join(each, file), "utf8"),
    );
    if (file.endsWith(".json")) expect(JSON.parse(ours!), file).toEqual(JSON.parse(theirs!));
    else expect(ours, file).toBe(theirs);
  }
});

test("flat, a classifier is a plain model that still knows its tokenizer", async () => {
  const checkpoint = await readCheckpoint(textPath("albert.keras"));
  const path = join(folder, "flat.keras");
  await writeModel(path, checkpoint, { flat: true });
  const plain = await readCheckpoint(path);
  expect(JSON.stringify(plain.modelConfig)).not.toMatch(/keras_?hub/);
  expect(onlyWeights(plain)).toEqual(onlyWeights(checkpoint));
  const given = textTensor(["the film was dull"]);
  expect(await predict(withTextInput(plain), given)).toEqual(await predict(withTextInput(checkpoint), given));
});

test("DeBERTa, whose positions are a layer of KerasHub alone, is not written flat", async () => {
  const { modelConfig } = await readCheckpoint(textPath("deberta.keras"));
  expect(() => withoutHub(modelConfig)).toThrow(/rel_embedding: .*RelativeEmbedding.*Leave out flat/);
});
