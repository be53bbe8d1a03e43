import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, Tensor } from "../../src/index.ts";
import { createTrainer, freeze, predict, readCheckpoint, writeCheckpoint } from "../../src/index.ts";
import { customFiles, customFolder } from "../custom-records.ts";
import { unpacked } from "../formats/model-fixtures.ts";
import { registerOwnLayers } from "../layers/own-layers.ts";
import type { Keras } from "./keras.ts";
import { startKeras } from "./keras.ts";
import { apart } from "./written-models.ts";

/** @file Models with layers that are not Keras's own, trained and written here and opened by Keras 3. */

let keras: Keras;
beforeAll(() => {
  registerOwnLayers();
  keras = startKeras();
});
afterAll(() => keras.close());

/** Writes a model, opens it in Keras with the custom classes, and returns the largest difference of the predictions. */
async function reopened(checkpoint: Checkpoint, ending: string, inputs: readonly Tensor[]): Promise<number> {
  const path = join(keras.folder, `written${ending}`);
  await writeCheckpoint(path, checkpoint);
  await keras.ask("open_custom", { name: "written", path });
  const outputs = await predict(checkpoint, inputs);
  const given = inputs.map((input) => ({
    ...input,
    dtype: "float32" as const,
    data: Float32Array.from(input.data as Float32Array),
  }));
  return apart(keras, "written", { inputs: given, outputs });
}

describe.each(customFiles("3"))("%s", (file, record) => {
  test.each([".keras", ".h5"])(
    "trained here, it is opened from %s by Keras with its classes, with equal predictions",
    async (ending) => {
      const trainer = await createTrainer(await readCheckpoint(join(customFolder, file)), {
        freeze: freeze("block"),
        optimizer: "Adam",
        learningRate: 0.01,
        loss: "categorical_crossentropy",
      });
      const inputs = record.inputs.map(unpacked);
      for (let step = 0; step < 3; step++) await trainer.trainOnBatch(inputs, unpacked(record.targets));
      const trained = trainer.checkpoint();
      trainer.dispose();
      expect(await reopened(trained, ending, inputs)).toBeLessThan(2e-5);
    },
  );
});

test("layers of packages that are Keras's own are opened by Keras 3 without the packages", async () => {
  const layer = (class_name: string, config: object) => ({
    class_name,
    config: { trainable: true, dtype: "float32", ...config },
  });
  const values = (shape: readonly number[], seed: number): Tensor => {
    const size = shape.reduce((product, length) => product * length, 1);
    return {
      dtype: "float32",
      shape,
      data: Float32Array.from({ length: size }, (_, index) => Math.sin(3 * index + seed)),
    };
  };
  const modelConfig = {
    class_name: "Sequential",
    config: {
      name: "packages",
      layers: [
        layer("InputLayer", { name: "x", batch_input_shape: [null, 4, 6], sparse: false }),
        layer("Custom>CastToFloat32", { name: "cast" }),
        layer("FixedDropout", { name: "drop", rate: 0.3, noise_shape: [null, 1, 1], seed: null }),
        layer("Dense", { name: "dense", units: 4, activation: "Custom>swish", use_bias: false }),
        layer("Addons>InstanceNormalization", {
          name: "instances",
          groups: 4,
          axis: -1,
          epsilon: 0.001,
          center: true,
          scale: true,
        }),
        layer("Activation", { name: "mish", activation: "Addons>mish" }),
        layer("Addons>AdaptiveMaxPooling1D", {
          name: "pool",
          output_size: [2],
          data_format: "channels_last",
        }),
      ],
    },
  };
  const weights = new Map([
    ["dense", [{ name: "kernel", ...values([6, 4], 1) }]],
    [
      "instances",
      [
        { name: "gamma", ...values([4], 2) },
        { name: "beta", ...values([4], 3) },
      ],
    ],
  ]);
  const checkpoint: Checkpoint = { format: "h5", kerasVersion: "2.15.0", modelConfig, weights, notes: {} };
  expect(await reopened(checkpoint, ".keras", [values([3, 4, 6], 4)])).toBeLessThan(2e-5);
});
