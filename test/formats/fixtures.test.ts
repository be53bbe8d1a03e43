import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { Dataset, File, type Group } from "jsfive";
import { describe, expect, test } from "vitest";
import type { Checkpoint, Weights } from "../../src/checkpoint.ts";
import { readCheckpoint, writeCheckpoint } from "../../src/formats/checkpoint-file.ts";
import { bytesFile } from "../../src/hdf5/file-system.ts";
import { type Hdf5Group, openVirtual } from "../../src/hdf5/reader.ts";
import { toFloat32 } from "../../src/tensor.ts";
import { layerGraph } from "../../src/topology/build-graph.ts";
import type { GraphLayer } from "../../src/topology/layer-graph.ts";
import { requireSupported } from "../../src/topology/support.ts";
import { readableInKeras3 } from "../../src/topology/translate/keras2-h5.ts";
import { scratch } from "../hdf5/temporary.ts";
import { modelPath, modelRecords, refusedRecords, sampledModels } from "./model-fixtures.ts";

/** The text of the model's config in a file, as it stands there. */
async function configText(path: string): Promise<string> {
  const bytes = readFileSync(path);
  if (path.endsWith(".keras")) return new TextDecoder().decode(unzipSync(bytes)["config.json"]);
  const file = await openVirtual(bytesFile(bytes), path);
  const text = file.root.text("model_config")!;
  file.close();
  return text;
}

/** Of the Sequentials inside another, which Keras before 2.2.3 wrote without. */
const namesOfLists = /(?<=\]), "name": "[^"]*"/g;

/** Returns whether a layer is an operation of keras.ops, which Keras cannot load from .h5, not even from its own. */
function isOp({ className }: GraphLayer): boolean {
  return className.startsWith("ops.");
}

function weightBytes(weights: Weights): Record<string, string> {
  const bytes: Record<string, string> = {};
  for (const [path, layer] of weights) {
    for (const { name, dtype, shape, data } of layer) {
      const values = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64");
      bytes[`${path} ${name} ${dtype} ${shape}`] = values;
    }
  }
  return bytes;
}

async function copied(checkpoint: Checkpoint, name: string): Promise<{ path: string; copy: Checkpoint }> {
  const path = join(scratch(), name);
  await writeCheckpoint(path, checkpoint);
  return { path, copy: await readCheckpoint(path) };
}

/** Every dataset of an HDF5 file as the independent reader sees it is what ours reads. */
async function expectReadableElsewhere(bytes: Uint8Array): Promise<number> {
  const other = new File(Uint8Array.from(bytes).buffer);
  const own = await openVirtual(bytesFile(bytes), "written");
  let datasets = 0;
  const visit = (theirs: Group, ours: Hdf5Group): void => {
    expect([...theirs.keys].sort()).toEqual([...ours.keys()].sort());
    for (const key of theirs.keys) {
      const child = theirs.get(key);
      if (!(child instanceof Dataset)) {
        visit(child, ours.group(key)!);
        continue;
      }
      datasets += 1;
      const tensor = ours.dataset(key)!.read();
      expect(child.shape).toEqual(tensor.shape);
      if (tensor.data.length > 0)
        expect([...child.value].map(Number)).toEqual([...toFloat32(tensor)].map(Number));
    }
  };
  visit(other, own.root);
  own.close();
  return datasets;
}

/** Whether LoRA changes any kernel: an archive holds what it makes of it. */
function isAdapted(weights: Weights): boolean {
  const thin = [...weights.values()].flat().filter(({ name }) => name.startsWith("lora_"));
  return thin.some((weight) => toFloat32(weight).some((value) => value !== 0));
}

/** LoRA's thin matrices are in no archive, a kernel that SpectralNormalization holds is there twice. */
function archivedCount(weights: Weights): number {
  const all = [...weights.values()].flat().map(({ name }) => name);
  return (
    all.filter((name) => !name.startsWith("lora_")).length + all.filter((name) => name === "vector_u").length
  );
}

const records = modelRecords();

test("the fixtures include models of every Keras generation", () => {
  const versions = new Set(records.map(([, record]) => record.keras));
  expect([...versions].sort()).toEqual([
    "1.2.2",
    "2.0.9",
    "2.12.0",
    "2.15.0",
    "2.2.4",
    "2.4.0",
    "2.9.0",
    "3.0.5",
    "3.15.1",
  ]);
  expect(records.length).toBeGreaterThan(60);
});

test.each(refusedRecords())("%s is refused, and the error says where and why", async (file, record) => {
  const graph = readCheckpoint(modelPath(file)).then(layerGraph);
  await expect(graph.then(requireSupported)).rejects.toThrow(record.refused);
});

test("an HDF5 file named .keras, as Keras 2.12 saves it, is read as HDF5", async () => {
  const path = join(scratch(), "model.keras");
  copyFileSync(modelPath("k212-text.h5"), path);
  expect(await readCheckpoint(path)).toEqual(await readCheckpoint(modelPath("k212-text.h5")));
});

describe.each(sampledModels(records))("%s", (file, record) => {
  const path = modelPath(file);

  test("is read with its version, the weights of every layer and its inputs", async () => {
    const checkpoint = await readCheckpoint(path);
    expect(checkpoint.kerasVersion).toBe(record.keras);
    expect(checkpoint.format).toBe(file.endsWith(".keras") ? "keras" : "h5");
    for (const layer of Object.keys(record.trainable)) {
      const paths = [...checkpoint.weights.keys()];
      expect(paths.some((candidate) => candidate === layer || candidate.startsWith(`${layer}/`))).toBe(true);
    }
    for (const weights of checkpoint.weights.values()) {
      for (const { name, shape, data } of weights) {
        expect(name).not.toMatch(/:|\d$/);
        expect(data.length).toBe(shape.reduce((product, size) => product * size, 1));
      }
    }
  });

  test("is read with shapes only if values are not wanted", async () => {
    const { weights } = await readCheckpoint(path);
    const shapes = await readCheckpoint(path, { weights: false });
    const describe = (all: Weights) =>
      [...all].map(([layer, list]) => [layer, list.map(({ name, shape, dtype }) => [name, shape, dtype])]);
    expect(describe(shapes.weights)).toEqual(describe(weights));
    expect([...shapes.weights.values()].flat().every((weight) => weight.data.length === 0)).toBe(true);
  });

  test("is the same model to the bit when written in its own format, and its config is the same except for terms of Keras 2", async () => {
    const checkpoint = await readCheckpoint(path);
    if (checkpoint.kerasVersion.startsWith("2") && checkpoint.format === "keras") return;
    if (checkpoint.kerasVersion.startsWith("1")) return;
    const { path: written, copy } = await copied(
      checkpoint,
      `copy${checkpoint.format === "keras" ? ".keras" : ".h5"}`,
    );
    const shared = readableInKeras3(checkpoint.modelConfig, checkpoint.kerasVersion);
    if (shared === checkpoint.modelConfig || record.keras.startsWith("3")) {
      const text = await configText(written);
      const isNameless = record.keras === "2.0.9";
      expect(isNameless ? text.replace(namesOfLists, "") : text).toBe(await configText(path));
    } else {
      expect(copy.modelConfig).toEqual(shared);
      expect(readableInKeras3(shared, checkpoint.kerasVersion)).toBe(shared);
    }
    expect(weightBytes(copy.weights)).toEqual(weightBytes(checkpoint.weights));
    expect([...copy.weights.keys()].sort()).toEqual([...checkpoint.weights.keys()].sort());
    expect(copy.trainingConfig).toEqual(checkpoint.trainingConfig);
    expect(copy.optimizerWeights).toEqual(checkpoint.optimizerWeights);
    expect(copy.notes).toEqual({});
    expect(copy.kerasVersion).toBe(checkpoint.kerasVersion);
  });

  test("has the same weights as .keras, and is not changed by a second translation", async () => {
    const checkpoint = await readCheckpoint(path);
    const first = await copied(checkpoint, "first.keras");
    const withoutSlashes = (bytes: Record<string, string>) =>
      Object.fromEntries(
        Object.entries(bytes).map(([key, value]) => [key.replace("conv1/", "conv1_"), value]),
      );
    if (!isAdapted(checkpoint.weights)) {
      expect(weightBytes(first.copy.weights)).toEqual(withoutSlashes(weightBytes(checkpoint.weights)));
    }
    const isKeras3 = checkpoint.kerasVersion.startsWith("3");
    expect(first.copy.kerasVersion).toBe(isKeras3 ? checkpoint.kerasVersion : "3.15.1");
    const second = await copied(first.copy, "second.keras");
    expect(await configText(second.path)).toBe(await configText(first.path));
    const inside = unzipSync(readFileSync(first.path))["model.weights.h5"]!;
    const optimizer = first.copy.optimizerWeights?.length ?? 0;
    expect(await expectReadableElsewhere(inside)).toBe(archivedCount(checkpoint.weights) + optimizer);
  });

  test("is read by an independent reader when written as weights alone", async () => {
    const checkpoint = await readCheckpoint(path);
    const target = join(scratch(), "copy.weights.h5");
    await writeCheckpoint(target, checkpoint);
    expect(await expectReadableElsewhere(readFileSync(target))).toBe(archivedCount(checkpoint.weights));
  });

  test("has the same weights as .h5, which an independent reader confirms", async () => {
    const checkpoint = await readCheckpoint(path);
    if (checkpoint.format === "keras" && layerGraph(checkpoint).layers.some(isOp)) {
      await expect(copied(checkpoint, "copy.h5")).rejects.toThrow(/cannot load an operation from \.h5/);
      return;
    }
    const { path: written, copy } = await copied(checkpoint, "copy.h5");
    expect(weightBytes(copy.weights)).toEqual(weightBytes(checkpoint.weights));
    const optimizer = copy.optimizerWeights?.length ?? 0;
    const weights = [...checkpoint.weights.values()].flat().length;
    expect(await expectReadableElsewhere(readFileSync(written))).toBe(weights + optimizer);
  });
});
