import { expect, test } from "vitest";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { writingWarnings } from "../../src/formats/dialect-writing.ts";
import { modelPath } from "./model-fixtures.ts";

test("writing .keras warns of what Keras 3 computes otherwise, by release and layer", async () => {
  const checkpoint = await readCheckpoint(modelPath("k122-convolutions.h5"), { weights: false });
  expect(writingWarnings(checkpoint, "keras")).toEqual([
    expect.stringMatching(
      /^As \.keras .* in Keras 1\.2\.2: pointwise: Conv2D: hard_sigmoid was .*\. Write \.h5/,
    ),
  ]);
});

test("writing .h5, which stays in its Keras, warns of nothing", async () => {
  const checkpoint = await readCheckpoint(modelPath("k122-convolutions.h5"), { weights: false });
  expect(writingWarnings(checkpoint, "h5")).toEqual([]);
});

test("a network over pictures is written as .keras without a warning", async () => {
  const checkpoint = await readCheckpoint(modelPath("k224-resnet50.h5"), { weights: false });
  expect(writingWarnings(checkpoint, "keras")).toEqual([]);
});
