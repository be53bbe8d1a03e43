/** Models that take texts, or give them, in fixtures/texts: each with what the Keras that saved it answered. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { arrayDataset } from "../../src/data/arrays.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { extractArrays } from "../../src/features/array-features.ts";
import { cutModel } from "../../src/features/cut.ts";
import { staticProgram } from "../../src/features/trunk.ts";
import { finetune } from "../../src/finetune.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { predict } from "../../src/inference/predict.ts";
import type { InputTensor, StringTensor, Tensor } from "../../src/tensor.ts";
import { toFloat32 } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import { editLayers, withConfig } from "../../src/topology/edit-config.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { type ModelRecord, textFolder, textRecords, unpackedTexts } from "../formats/model-fixtures.ts";
import { scratch } from "../hdf5/temporary.ts";

const folder = textFolder;
const records = textRecords();

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

function expectAnswers(outputs: readonly InputTensor[], { outputs: answers }: ModelRecord): void {
  expect(outputs.map(({ shape }) => shape)).toEqual(answers.map(({ shape }) => shape));
  outputs.forEach((output, place) => {
    const answer = unpackedTexts(answers[place]!);
    if (output.dtype === "string" || answer.dtype === "string") {
      expect(output).toEqual(answer);
      return;
    }
    const [found, wanted] = [toFloat32(output), toFloat32(answer)];
    const apart = found.map((value, index) =>
      Number.isNaN(value) && Number.isNaN(wanted[index]) ? 0 : Math.abs(value - wanted[index]!),
    );
    expect(Math.max(...apart)).toBeLessThan(2e-5);
  });
}

describe.each(records)("%s", (file, record) => {
  const inputs: readonly InputTensor[] = record.inputs.map(unpackedTexts);

  test("predicts from texts what Keras predicted for any batch size, and leaks no tensor", async () => {
    const checkpoint = await readCheckpoint(join(folder, file));
    const before = tf.memory().numTensors;
    expectAnswers(await predict<InputTensor>(checkpoint, inputs), record);
    expectAnswers(await predict<InputTensor>(checkpoint, inputs, { batchSize: 3 }), record);
    expect(tf.memory().numTensors).toBe(before);
  });

  // A function of TensorFlow is not in Keras 3, whose files .keras are.
  test.each(/^k2.*naming/.test(file) ? ["h5"] : /\.h5$/.test(file) ? ["h5", "keras"] : ["keras"])(
    "written as .%s it has its vocabulary and predicts the same",
    async (ending) => {
      const path = join(scratch(), `copy.${ending}`);
      await writeCheckpoint(path, await readCheckpoint(join(folder, file)));
      const copy = await readCheckpoint(path);
      expectAnswers(await predict<InputTensor>(copy, inputs), record);
      expect(JSON.stringify(copy.modelConfig)).not.toContain('"vocabulary":null');
    },
  );
});

const reviews = records.find(([file]) => file === "k3-reviews.keras")![1];
const texts = unpackedTexts(reviews.inputs[0]!) as StringTensor;
const verdicts: Tensor = {
  dtype: "int32",
  shape: [texts.shape[0]!],
  data: Int32Array.from(texts.data, (_, index) => index % 2),
};

test("a text classifier is fine-tuned, each text is looked up once, and the written file predicts the same", async () => {
  const out = join(scratch(), "run");
  const { checkpoint, history, plan } = await finetune({
    model: join(folder, "k3-reviews.keras"),
    data: arrayDataset(texts, verdicts, { validation: { inputs: texts, targets: verdicts } }),
    freeze: [],
    epochs: 12,
    learningRate: 0.05,
    keepHead: true,
    out,
  });
  expect(plan.frontier.map(({ tensor }) => tensor)).toEqual(["vectorize", "not_equal_1"]);
  expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss);
  const [tuned] = await predict(checkpoint, texts);
  const [written] = await predict(await readCheckpoint(join(out, "model.keras")), texts);
  expect(written!.data).toEqual(tuned!.data);
});

test("a text without words is refused by layer name in a model that averages its words", async () => {
  const silent: StringTensor = { ...texts, data: texts.data.with(3, "?!") };
  const run = finetune({
    model: join(folder, "k3-mean-given.keras"),
    data: arrayDataset(silent, verdicts),
    freeze: [],
    epochs: 1,
  });
  await expect(run).rejects.toThrow(
    "pool: values in epoch 1, step 1: expected finite numbers, got NaN or infinity. A sample has nothing but masked steps, as a text without a word: leave it out.",
  );
});

test("a trainer takes texts by input name", async () => {
  const trainer = await createTrainer(await readCheckpoint(join(folder, "k3-reviews.keras")), {
    freeze: [],
    learningRate: 0.05,
    loss: "sparse_categorical_crossentropy",
  });
  const first = await trainer.trainOnBatch({ review: texts }, verdicts);
  for (let step = 0; step < 10; step++) await trainer.trainOnBatch({ review: texts }, verdicts);
  const last = await trainer.trainOnBatch({ review: texts }, verdicts);
  trainer.dispose();
  expect(last.loss).toBeLessThan(first.loss);
});

test("texts of any length are padded to a common width in training", async () => {
  const given = await readCheckpoint(join(folder, "k3-reviews-given.h5"));
  const open = editLayers(given.modelConfig, ({ path, json }) =>
    path === "vectorize" ? withConfig(json, { output_sequence_length: null }) : json,
  );
  const checkpoint = { ...given, modelConfig: open };
  const graph = layerGraph(checkpoint);
  const cut = cutModel(graph, { frozen: new Set(), bnMode: "inference", newLayers: new Set() });
  const part = staticProgram(cut, checkpoint.weights);
  const [whole] = await extractArrays(part, [texts], { batchSize: 16 });
  const [parted] = await extractArrays(part, [texts], { batchSize: 2 });
  expect(whole!.shape[1]).toBeGreaterThan(12);
  expect(parted).toEqual(whole);
});

describe("what a file does not hold is refused by name, with the remedy", () => {
  test.each([
    [
      { vocabulary: null },
      /vectorize \(TextVectorization\): its vocabulary is not in the file\. Pass it when/,
    ],
    [{ vocabulary: "/data/words.txt" }, /its vocabulary is in a separate file, \/data\/words\.txt\. Pass it/],
    [
      { output_mode: "tf_idf", output_sequence_length: null },
      /its idf weights are not in the file\. Pass it/,
    ],
    [{ standardize: "my_standardize" }, /its standardize my_standardize is Python code\. Use one/],
    [
      { split: { class_name: "function", config: "my_split" } },
      /its split my_split is Python code\. Use one/,
    ],
    [{ ragged: true }, /its output is ragged\. Remove ragged=True/],
  ])("%j", async (changed, message) => {
    const checkpoint = await readCheckpoint(join(folder, "k3-reviews-given.h5"));
    const modelConfig = editLayers(checkpoint.modelConfig, ({ path, json }) =>
      path === "vectorize" ? withConfig(json, changed) : json,
    );
    await expect(predict({ ...checkpoint, modelConfig }, texts)).rejects.toThrow(message);
  });
});
