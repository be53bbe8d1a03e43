import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readCheckpoint } from "../../../src/formats/checkpoint-file.ts";
import { placeVariables } from "../../../src/formats/keras/variable-groups.ts";
import { layerSlots } from "../../../src/formats/layer-slots.ts";
import { modelTree } from "../../../src/formats/model-tree.ts";
import { readPlaced } from "../../../src/formats/stored-weights.ts";
import { bytesFile } from "../../../src/hdf5/file-system.ts";
import { openVirtual } from "../../../src/hdf5/reader.ts";
import { modelPath } from "../model-fixtures.ts";

const ending = ".weights.h5";
const files = readdirSync(modelPath("")).filter((name) => name.endsWith(ending));

test("there are .weights.h5 files of Keras 2.12, 2.15, 3.0 and 3.15", () => {
  expect([...new Set(files.map((file) => file.split("-")[0]))].sort()).toEqual(["k212", "k215", "k3", "k30"]);
});

describe.each(files)("%s", (file) => {
  test("holds, for the model it was saved from, the weights of that model's own file", async () => {
    const base = modelPath(file.slice(0, -ending.length));
    const whole = await readCheckpoint(existsSync(`${base}.keras`) ? `${base}.keras` : `${base}.h5`);
    const { root, close } = await openVirtual(bytesFile(readFileSync(modelPath(file))), file);
    const placement = placeVariables(modelTree(whole.modelConfig), layerSlots(whole), root);
    const weights = readPlaced(placement, true, file);
    close();
    expect(weights.size).toBeGreaterThan(3);
    for (const [path, own] of weights) expect(own).toEqual(whole.weights.get(path));
  });
});
