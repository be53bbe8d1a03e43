import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import { tf } from "../../../src/engine/tf.ts";
import { randomImageLayers } from "../../../src/layers/random-images/kernels.ts";
import { upload, valuesOf } from "../layer-cases.ts";
import { liveTransformation, transformationCases } from "./transformation-cases.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const cases = transformationCases();

describe("with the numbers that Keras drew", () => {
  test.each(cases)("$name transforms images as Keras did", (recorded) => {
    tf.tidy(() => {
      const layer = randomImageLayers[recorded.className]!;
      const transformation = liveTransformation(recorded.transformation);
      const made = layer.transform(upload(recorded.input), transformation, recorded.config);
      expect(made.shape).toEqual(recorded.output.shape);
      const values = made.dataSync();
      const expected = Array.from(valuesOf(recorded.output));
      const largest = Math.max(1, ...expected.map(Math.abs));
      const difference = Math.max(...expected.map((value, index) => Math.abs(values[index]! - value)));
      expect(difference / largest).toBeLessThanOrEqual(2e-5);
    });
  });
});

test("every random image layer of Keras 3 is compared with Keras", () => {
  const compared = new Set(cases.map(({ className }) => className));
  const others = Object.keys(randomImageLayers).filter((className) => !compared.has(className));
  expect(others).toEqual(["RandomHeight", "RandomWidth"]);
});
