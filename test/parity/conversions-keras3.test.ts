import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { writingWarnings } from "../../src/formats/formats.ts";
import { changesInKeras3 } from "../../src/topology/translate/changes-in-keras3.ts";
import { tfjsNetworks } from "../formats/tfjs/networks.ts";
import { type Keras, startKeras } from "./keras.ts";
import type { WrittenModel } from "./written-models.ts";
import {
  apart,
  convertedFolders,
  kerasModels,
  textModels,
  tfjsModel,
  writtenOrRefused,
} from "./written-models.ts";

/** @file What is written as `.h5` and as weights alone of every model, opened by Keras 3. */

let keras: Keras;
beforeAll(() => {
  keras = startKeras();
});
afterAll(() => keras.close());

async function expectOpenH5(model: WrittenModel): Promise<void> {
  const checkpoint = await readCheckpoint(model.path);
  const path = await writtenOrRefused(join(keras.folder, "written.h5"), checkpoint, /Write \.keras\.$/);
  if (path === undefined) return;
  const opened = keras.ask("open", { name: "h5", path });
  const [warning] = writingWarnings(checkpoint, "h5");
  if (warning !== undefined) {
    await expect(opened, warning).rejects.toThrow();
    return;
  }
  await opened;
  const largest = await apart(keras, "h5", model);
  if (changesInKeras3(checkpoint).length === 0) expect(largest).toBeLessThan(model.within);
}

async function expectWeights(model: WrittenModel): Promise<void> {
  const checkpoint = await readCheckpoint(model.path);
  const [whole, path] = [join(keras.folder, "whole.keras"), join(keras.folder, "written.weights.h5")];
  await writeCheckpoint(whole, checkpoint);
  await writeCheckpoint(path, checkpoint);
  await keras.ask("open", { name: "whole", path: whole });
  await keras.ask("load_weights", { name: "whole", path });
  const largest = await apart(keras, "whole", model);
  if (changesInKeras3(checkpoint).length === 0) expect(largest).toBeLessThan(model.within);
}

const files = [...kerasModels(), ...textModels(), ...convertedFolders()];

test.each(files)("%s as .h5 opens and predicts the same, or a warning says why not", (_file, model) =>
  expectOpenH5(model),
);

/** A version of each Keras: what is in an archive beside its config is written by the same code. */
const weighed = files.filter(([file]) => /^k(122|215|3)-/.test(file));

test.each(weighed)("the weights of %s alone fit its .keras", (_file, model) => expectWeights(model));

test.each(Object.keys(tfjsNetworks))("%s by tfjs-layers opens as .h5, and its weights fit", async (name) => {
  const model = await tfjsModel(name, keras.folder);
  await expectOpenH5(model);
  await expectWeights(model);
});
