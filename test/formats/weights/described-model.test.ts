import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { useEngine } from "../../../src/engine/backend.ts";
import { readCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { predict } from "../../../src/inference/predict.ts";
import { scratch } from "../../hdf5/temporary.ts";
import { distance } from "../distance.ts";
import { type PackedTensor, unpacked } from "../model-fixtures.ts";

const folder = "fixtures/weights";
const endings = [".h5", ".weights.h5"];

/** `k215-words`: each with the model's description, and weights that Keras saved of a later one in the same session. */
const bases = readdirSync(folder)
  .filter((name) => name.endsWith(".record.json"))
  .map((name) => join(folder, name.slice(0, -".record.json".length)));

const files = bases.flatMap((base) =>
  endings
    .map((ending) => base + ending)
    .filter((path) => readdirSync(folder).includes(path.slice(folder.length + 1))),
);

interface Answers {
  readonly keras: string;
  readonly inputs: readonly PackedTensor[];
  readonly outputs: readonly PackedTensor[];
}

function answersOf(base: string): Answers {
  return JSON.parse(readFileSync(`${base}.record.json`, "utf8")) as Answers;
}

function baseOf(file: string): string {
  return file.replace(/(?:\.weights)?\.h5$/, "");
}

beforeAll(() => useEngine(process.env["KERAS_FINETUNE_ENGINE"] === "native" ? "native" : "wasm"));

describe.each(files)("%s with what model.to_json() gave", (file) => {
  const { keras, inputs, outputs } = answersOf(baseOf(file));

  test("predicts what its Keras predicted, although the numbers in its layer names differ", async () => {
    const checkpoint = await readCheckpoint(file, { arch: `${baseOf(file)}.json` });
    expect(checkpoint.kerasVersion.split(".")[0]).toBe(keras.split(".")[0]);
    const [got] = await predict(checkpoint, inputs.map(unpacked));
    expect(distance(got!.data as Float32Array, unpacked(outputs[0]!).data as Float32Array)).toBeLessThan(
      2e-5,
    );
  });

  test("does not fit another model", async () => {
    const other = file.includes("words") ? file.replace("words", "nested") : file.replace("nested", "words");
    const read = readCheckpoint(file, { arch: `${baseOf(other)}.json` });
    await expect(read).rejects.toThrow(`${file}: `);
  });
});

test("another file of the same model can describe it", async () => {
  const model = "fixtures/models/k3-text";
  const [alone, whole] = [
    await readCheckpoint(`${model}.weights.h5`, { arch: `${model}.keras` }),
    await readCheckpoint(`${model}.keras`),
  ];
  expect(alone.modelConfig).toEqual(whole.modelConfig);
  expect(alone.weights).toEqual(whole.weights);
});

test("a file that describes no model is refused by name", async () => {
  const path = join(scratch(), "notes.json");
  writeFileSync(path, '{"epochs": 3}');
  const read = readCheckpoint(files[0]!, { arch: path });
  await expect(read).rejects.toThrow(path);
});

test("weights of an unpublished model are refused with a request for a file that describes it", async () => {
  await expect(readCheckpoint("fixtures/weights/k215-words.h5")).rejects.toThrow(
    "the file of model.to_json()",
  );
});
