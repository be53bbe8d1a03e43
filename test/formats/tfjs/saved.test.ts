import { join } from "node:path";
import * as tfl from "@tensorflow/tfjs-layers";
import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../../src/engine/backend.ts";
import type { tf } from "../../../src/engine/tf.ts";
import { readCheckpoint, writeCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { predict } from "../../../src/inference/predict.ts";
import { type Tensor, toFloat32 } from "../../../src/tensor.ts";
import { scratch } from "../../hdf5/temporary.ts";
import { distance } from "../distance.ts";
import { inputsFor, saveByTfjs, tfjsNetworks } from "./networks.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

function downloaded(tensor: tf.Tensor): Tensor {
  const dtype = tensor.dtype === "int32" ? "int32" : "float32";
  return { dtype, shape: tensor.shape, data: tensor.dataSync() };
}

describe.each(Object.entries(tfjsNetworks))("%s saved by tfjs-layers", (_, build) => {
  test("predicts the same as tfjs-layers, from the folder and as .h5", async () => {
    const model = build();
    const folder = join(scratch(), "model");
    await saveByTfjs(model, folder);
    const inputs = inputsFor(model);
    const expected = [model.predict(inputs)].flat();
    const checkpoint = await readCheckpoint(folder);
    expect(checkpoint.kerasVersion).toBe("2");
    const copy = join(scratch(), "copy.h5");
    await writeCheckpoint(copy, checkpoint);
    for (const candidate of [checkpoint, await readCheckpoint(copy)]) {
      const outputs = await predict(candidate, inputs.map(downloaded));
      expected.forEach((output, index) => {
        expect(outputs[index]!.shape).toEqual(output.shape);
        expect(distance(toFloat32(outputs[index]!), output.dataSync())).toBeLessThan(2e-5);
      });
    }
  });
});

test.each([
  [
    "UpSampling2D",
    tfl.layers.upSampling2d({ name: "grown", inputShape: [4, 4, 1], interpolation: "bilinear" }),
  ],
  [
    "DepthwiseConv2D",
    tfl.layers.depthwiseConv2d({ name: "grown", inputShape: [4, 4, 1], kernelSize: 2, dilationRate: 2 }),
  ],
])("a %s that tfjs-layers computes differently than Keras is refused by name", async (className, layer) => {
  const folder = join(scratch(), "model");
  await saveByTfjs(tfl.sequential({ layers: [layer] }), folder);
  await expect(readCheckpoint(folder)).rejects.toThrow(
    new RegExp(`^grown: ${className}: tfjs-layers (computes|ignores) .* Keras\\. Remove the layer`),
  );
});
