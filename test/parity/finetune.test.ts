import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadImages } from "../../src/data/images.ts";
import { finetune } from "../../src/finetune.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freezeAllButHead, freezeUntil } from "../../src/freeze/policy.ts";
import { predict } from "../../src/model/predict.ts";
import type { FinetuneResult } from "../../src/report/run.ts";
import { kerasPredict } from "./keras.ts";

const model = "fixtures/demo/efficientnet_lite0.keras";
const data = "fixtures/demo/photos";
let out: string;
let result: FinetuneResult;

beforeAll(async () => {
  out = join(mkdtempSync(join(tmpdir(), "finetune-")), "run");
  result = await finetune({ model, data, freeze: freezeAllButHead(), epochs: 2, out });
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

test("Keras opens the tuned model and predicts what we predict, on pixels we decoded", async () => {
  const pictures = ["brick", "grass", "gravel"].map((name) => `${data}/val/${name}`);
  const { imageFolder } = await import("../../src/data/image-folder.ts");
  const { samples } = await imageFolder(data);
  const paths = samples.filter(({ path }) => pictures.some((folder) => path.startsWith(folder))).slice(0, 6);
  const images = await loadImages(
    paths.map((sample) => sample.path),
    { imageSize: [224, 224], preprocess: "tf" },
  );
  const [ours] = await predict(await readCheckpoint(join(out, "model.keras")), images);
  const { output, trainable } = kerasPredict(join(out, "model.keras"), images);
  expect(output.shape).toEqual(ours!.shape);
  const difference = Array.from(output.data as Float32Array, (value, index) =>
    Math.abs(value - (ours!.data as Float32Array)[index]!),
  );
  expect(Math.max(...difference)).toBeLessThan(2e-5);
  expect(trainable["predictions"]).toBe(true);
  expect(trainable["stem_conv"]).toBe(false);
});

test("no frozen weight has moved", () => {
  expect(result.proof.weights.length).toBeGreaterThan(100);
  expect(result.proof.unchanged).toBe(true);
});

test("a later cut trains convolutions too", async () => {
  const tuned = await finetune({ model, data, freeze: freezeUntil("top"), epochs: 1 });
  expect(tuned.plan.firstTrainable).toBe("top_conv");
  expect(tuned.proof.unchanged).toBe(true);
});
