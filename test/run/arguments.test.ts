import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { arrayDataset } from "../../src/data/arrays.ts";
import { finetune } from "../../src/finetune.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import { checkpointHash, datasetHash } from "../../src/run/arguments.ts";
import type { Tensor } from "../../src/tensor.ts";

const model = "fixtures/cli/small_resnet.keras";
const tensor = (shape: number[], first = 0): Tensor => ({
  dtype: "float32",
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => (first + at) % 2),
});

test("args.json has every option as it was decided, values by their sha256, and no functions", async () => {
  const out = mkdtempSync(join(tmpdir(), "arguments-"));
  onTestFinished(() => rmSync(out, { recursive: true, force: true }));
  const checkpoint = await readCheckpoint(model);
  const data = arrayDataset(tensor([4, 32, 32, 3]), tensor([4]));
  await finetune({ model: checkpoint, data, freeze: freezeUntil("conv3"), epochs: 1, out, cacheMax: 5e9 });
  const args = JSON.parse(readFileSync(join(out, "args.json"), "utf8"));
  expect(args).toMatchObject({
    model: { sha256: checkpointHash(checkpoint) },
    data: { sha256: datasetHash(data) },
    freeze: [{ kind: "until", patterns: ["conv3"] }],
    bnMode: "inference",
    epochs: 1,
    batchSize: 32,
    optimizer: { class_name: "Adam", config: { learning_rate: 1e-4 } },
    learningRate: 1e-4,
    loss: "sparse_categorical_crossentropy",
    patience: null,
    imageSize: null,
    preprocess: null,
    exif: true,
    cacheMax: 5e9,
    cacheDtype: "float32",
    outputFormat: "keras",
    out,
  });
  expect(typeof args.cache).toBe("string");
  expect(Object.keys(args)).not.toContain("onProgress");
  expect(Object.keys(args)).not.toContain("signal");
});

test("the sha256 of a dataset tells its values, its shapes and its files apart", () => {
  const hash = (shape: number[], first: number) =>
    datasetHash(arrayDataset(tensor(shape, first), tensor([2], 0)));
  expect(hash([2, 6], 0)).toBe(hash([2, 6], 0));
  expect(new Set([hash([2, 6], 0), hash([2, 6], 1), hash([2, 3, 2], 0)]).size).toBe(3);
});
