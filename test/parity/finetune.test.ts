import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadImages } from "../../src/data/images.ts";
import { finetune } from "../../src/finetune.ts";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { freezeAllButHead, freezeUntil } from "../../src/freeze/policy.ts";
import { predict } from "../../src/inference/predict.ts";
import type { FinetuneResult } from "../../src/run/options.ts";
import type { Tensor } from "../../src/tensor.ts";
import { difference } from "./differences.ts";
import { startKeras } from "./keras.ts";

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
  const { imageFolder } = await import("../../src/data/class-folders.ts");
  const { samples } = await imageFolder(data);
  const paths = samples.filter(({ path }) => pictures.some((folder) => path.startsWith(folder))).slice(0, 6);
  const images = await loadImages(
    paths.map((sample) => sample.path),
    { imageSize: [224, 224], preprocess: "tf" },
  );
  const [ours] = await predict(await readCheckpoint(join(out, "model.keras")), images);
  const keras = startKeras();
  const { trainable } = await keras.ask<{ trainable: Record<string, boolean> }>("open", {
    name: "tuned",
    path: join(out, "model.keras"),
  });
  const { outputs } = await keras.ask<{ outputs: [Tensor] }>("predict", { name: "tuned", inputs: [images] });
  keras.close();
  expect(difference(ours!, outputs[0])).toBeLessThan(2e-5);
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
