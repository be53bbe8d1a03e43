import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import type { Tensor } from "../../src/tensor.ts";
import { dialectOf } from "../../src/topology/dialects/dialect.ts";
import { modelPath } from "../formats/model-fixtures.ts";
import { tfjsNetworks } from "../formats/tfjs/networks.ts";
import { type Keras, startKeras } from "./keras.ts";
import type { WrittenModel } from "./written-models.ts";
import { apart, convertedFolders, kerasModels, textModels, tfjsModel } from "./written-models.ts";

/** @file What is written as `.h5` and as weights alone of every model of Keras 1 and 2, opened by Keras 2.15. */

let keras: Keras;
beforeAll(() => {
  keras = startKeras("keras2");
});
afterAll(() => keras.close());

/** It does not open what 2.4 saved of MultiHeadAttention, nor 2.0 of GRU. */
const unopened = /^(k24-transformer|k209-sentences)/;

/** Computed otherwise by then: masks on states and attention, bilinear pixels. */
const changed = /^(k224-translation|k224-upsampling|k2[49]-transformer)\.h5$/;

/** It finds the parts of MultiHeadAttention under other names. */
const attends = /transformer/;

async function expectOpen(name: string, model: WrittenModel): Promise<void> {
  const checkpoint = await readCheckpoint(model.path);
  if (dialectOf(checkpoint).startsWith("keras3")) return;
  const [path, alone] = [join(keras.folder, "written.h5"), join(keras.folder, "written.weights.h5")];
  await writeCheckpoint(path, checkpoint);
  await writeCheckpoint(alone, checkpoint);
  await keras.ask("open", { name: "h5", path });
  const expectSame = async (): Promise<void> => {
    const largest = await apart(keras, "h5", model);
    if (!changed.test(name)) expect(largest).toBeLessThan(model.within);
  };
  await expectSame();
  const loaded = keras.ask("load_weights", { name: "h5", path: alone });
  if (attends.test(name)) {
    await expect(loaded).rejects.toThrow(/Layer 'value' expected 2 variables, but received 0/);
    return;
  }
  await loaded;
  await expectSame();
}

const files = [...kerasModels(), ...textModels(), ...convertedFolders()].filter(
  ([file]) => !/^k30?-/.test(file) && !unopened.test(file),
);

test.each(files)("%s as .h5 opens and predicts the same, and its weights alone fit", expectOpen);

test.each(Object.keys(tfjsNetworks))("%s by tfjs-layers opens as .h5, and its weights fit", async (name) => {
  await expectOpen(name, await tfjsModel(name, keras.folder));
});

test.each(["k215-sequential-v3.keras", "k215-compiled-sgd.h5", "k215-sequential.h5"])(
  "%s as .h5 has its optimizer's state",
  async (file) => {
    const path = join(keras.folder, "compiled.h5");
    await writeCheckpoint(path, await readCheckpoint(modelPath(file)));
    const [before, after] = [
      await keras.ask<Tensor[]>("optimizer_state", { path: modelPath(file) }),
      await keras.ask<Tensor[]>("optimizer_state", { path }),
    ];
    expect(before.length).toBeGreaterThan(4);
    expect(after).toEqual(before);
  },
);
