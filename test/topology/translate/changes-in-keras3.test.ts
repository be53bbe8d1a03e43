import { describe, expect, test } from "vitest";
import { readCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { changesInKeras3 } from "../../../src/topology/translate/changes-in-keras3.ts";
import { modelPath, modelRecords } from "../../formats/model-fixtures.ts";

async function changesIn(file: string): Promise<readonly string[]> {
  return changesInKeras3(await readCheckpoint(modelPath(file), { weights: false }));
}

describe("changes in Keras 3 are named by layer", () => {
  test.each([
    ["k122-convolutions.h5", "pointwise: Conv2D: hard_sigmoid"],
    ["k224-text.h5", "both_ways: Bidirectional: hard_sigmoid"],
    ["k224-translation.h5", "decoder: LSTM: used its mask with initial states"],
    ["k224-upsampling.h5", "up_sampling2d_1: UpSampling2D: bilinear"],
    ["k24-transformer.h5", "first_attention: MultiHeadAttention: ignored masks"],
    ["k215-transformer.h5", "first_attention: MultiHeadAttention: kept the masks"],
    ["k212-film.h5", "flow: ConvLSTM2D: hard_sigmoid"],
    [
      "k224-batch-in-prediction.h5",
      "by_batch: BatchNormalization: used the batch's statistics in prediction",
    ],
    [
      "k215-batch-in-prediction.h5",
      "base/stem_bn: BatchNormalization: used the batch's statistics in prediction",
    ],
  ])("%s has the change %s", async (file, change) => {
    expect(await changesIn(file)).toContainEqual(expect.stringContaining(change));
  });
});

test("bilinear interpolation changed for files of Keras 2.3 and not for those of tf.keras 2.3", async () => {
  const checkpoint = await readCheckpoint(modelPath("k224-upsampling.h5"), { weights: false });
  const changesOf = (kerasVersion: string) => changesInKeras3({ ...checkpoint, kerasVersion });
  expect(changesOf("2.3.1")).toEqual([expect.stringContaining("bilinear")]);
  expect(changesOf("2.3.0-tf")).toEqual([]);
});

test("a mask that all inputs of a merging layer share is not a change", async () => {
  expect(await changesIn("k215-hidden-steps.h5")).toEqual([]);
});

test("image networks and models of the current Keras 3 have no changes", async () => {
  const images =
    /-(mobilenet|mobilenetv2|resnet|resnet50|densenet|efficientnet|nested-\w+|shared|sequential)\.h5$/;
  const files = modelRecords().filter(
    ([file, { keras }]) => (keras === "3.15.1" && !file.includes("int8-lora")) || images.test(file),
  );
  expect(files.length).toBeGreaterThan(60);
  for (const [file] of files) expect(await changesIn(file), file).toEqual([]);
});

test("LoRA beside int8 kernels is named because writing merges it", async () => {
  expect(await changesIn("k3-int8-lora-h5.h5")).toEqual(
    ["words: Embedding", "middle: Dense"].map((layer) => expect.stringContaining(`${layer}: LoRA`)),
  );
  expect(await changesIn("k3-lora-h5.h5")).toEqual([]);
});

test("of the models of Keras 3.0 only those change whose masks reach a merging or attention layer", async () => {
  const changed: string[] = [];
  for (const [file, { keras }] of modelRecords()) {
    if (keras === "3.0.5" && (await changesIn(file)).length > 0) changed.push(file);
  }
  expect(changed).toEqual(["k30-hidden-steps.keras", "k30-transformer.keras"]);
});
