import { expect, test } from "vitest";
import { readCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { leftBehind, writingWarnings } from "../../src/formats/formats.ts";
import { modelPath } from "./model-fixtures.ts";

test("writing .keras warns of what Keras 3 computes differently, by release and layer", async () => {
  const checkpoint = await readCheckpoint(modelPath("k122-convolutions.h5"), { weights: false });
  expect(writingWarnings(checkpoint, "keras")).toEqual([
    expect.stringMatching(
      /^Saved as \.keras, .* in Keras 1\.2\.2: pointwise: Conv2D: hard_sigmoid was .*\. Write \.h5/,
    ),
  ]);
});

test("writing .h5 in its own dialect gives no warning if Keras 3 opens the file too", async () => {
  const checkpoint = await readCheckpoint(modelPath("k122-convolutions.h5"), { weights: false });
  expect(writingWarnings(checkpoint, "h5")).toEqual([]);
});

test("an image network is written as .keras without a warning", async () => {
  const checkpoint = await readCheckpoint(modelPath("k224-resnet50.h5"), { weights: false });
  expect(writingWarnings(checkpoint, "keras")).toEqual([]);
});

test.each([
  [
    "k24-nested-partly.h5",
    /^Saved as \.h5, .* Keras 2, .*: base: Functional: Keras 3 numbers .*\. Write \.keras for Keras 3\.$/,
  ],
  ["k215-densenet.h5", /: conv1\/conv: Conv2D: Keras 3 allows no slash in a name; conv1\/bn: /],
  ["k24-operations.h5", /TFOpLambda: Keras 3 has no such layer/],
  ["k215-translation.h5", /decoder: \w+: Keras 3 expects its initial states as initial_state/],
  [
    "k3-text-h5.h5",
    /^Saved as \.h5, the model is opened by no Keras.*: ops\.NotEqual: Keras cannot load an operation from \.h5\. Write \.keras/,
  ],
])("writing %s as .h5 warns by layer of what Keras 3 does not open", async (file, warning) => {
  const checkpoint = await readCheckpoint(modelPath(file), { weights: false });
  expect(writingWarnings(checkpoint, "h5")).toEqual([expect.stringMatching(warning)]);
});

test("a warning says that attention weights in a .weights.h5 are for Keras 3 only", async () => {
  const checkpoint = await readCheckpoint(modelPath("k215-transformer.h5"), { weights: false });
  expect(writingWarnings(checkpoint, "weights.h5")).toEqual([
    expect.stringMatching(/first_attention: MultiHeadAttention; .*Write \.h5 for Keras 2\.$/),
  ]);
});

test("a note says what is left out: a legacy optimizer's state, and compile settings in a tfjs folder", async () => {
  const legacy = await readCheckpoint(modelPath("k29-sequential.h5"));
  expect(leftBehind(legacy, "keras")).toMatch(/^The optimizer's state is left out/);
  const checkpoint = await readCheckpoint(modelPath("k215-compiled-sgd.h5"));
  expect(leftBehind(checkpoint, "keras")).toBeUndefined();
  expect(leftBehind(checkpoint, "tfjs")).toMatch(/^Loss, metrics and optimizer are left out/);
  expect(leftBehind(checkpoint, "h5")).toBeUndefined();
  const plain = await readCheckpoint(modelPath("k215-shapes.h5"));
  expect(leftBehind(plain, "keras")).toBeUndefined();
});
