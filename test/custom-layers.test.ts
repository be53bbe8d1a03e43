/** Custom layers that a program registers, compared with the Keras that wrote the files. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, CustomKernel, JsonObject, Tensor } from "../src/index.ts";
import {
  freeze,
  inspect,
  layerGraph,
  planFinetune,
  predict,
  readCheckpoint,
  registerLayer,
  writeCheckpoint,
} from "../src/index.ts";
import { specOf } from "../src/topology/layer-specs.ts";
import { customFiles, customFolder, predictionError, trainingError } from "./custom-records.ts";
import { unpacked } from "./formats/model-fixtures.ts";
import { scratch } from "./hdf5/temporary.ts";
import { registerOwnLayers } from "./layers/own-layers.ts";

const files = customFiles("3");
const images = join(customFolder, "k3-images.keras");
const pixels = (files.find(([file]) => file === "k3-images.keras")?.[1].inputs ?? []).map(unpacked);

/** The files as they are read while their classes are unknown. */
const early = new Map<string, Checkpoint>();

describe("before a class is registered", () => {
  beforeAll(async () => {
    for (const [file] of files) early.set(file, await readCheckpoint(join(customFolder, file)));
  });

  test("a file with it is read, and what computes it says how to make it known", async () => {
    const checkpoint = await readCheckpoint(images);
    await expect(predict(checkpoint, pixels)).rejects.toThrow(
      /block \(Pets>ConvBlock\): a custom class, whose code is not in the file\. .*registerLayer, or --layers FILE .*docs\/custom-layers\.md/,
    );
  });

  test("its graph is built again once the class is known", async () => {
    const { modelConfig, kerasVersion } = await readCheckpoint(images);
    expect(layerGraph({ modelConfig, kerasVersion }).nodes.at(-1)?.outputs[0]?.shape).toBeNull();
    registerOwnLayers();
    expect(layerGraph({ modelConfig, kerasVersion }).nodes.at(-1)?.outputs[0]?.shape).toEqual([null, 3]);
  });

  test("a checkpoint that was read before is as good as one that is read now", async () => {
    for (const [file, record] of files) {
      const before = early.get(file);
      if (!before) throw new Error(`${file} was not read`);
      expect(await predictionError(before, record, record.outputs)).toBeLessThan(2e-5);
      expect(await trainingError(before, record)).toBeLessThan(2e-5);
      for (const ending of [".keras", ".h5"]) {
        const copy = join(scratch(), `copy${ending}`);
        await writeCheckpoint(copy, before);
        expect(await predictionError(await readCheckpoint(copy), record, record.outputs)).toBeLessThan(2e-5);
      }
    }
  });

  test("weights that do not fit the registered class are refused by name", async () => {
    const { weights, ...rest } = await readCheckpoint(images);
    const unnamed = new Map(
      [...weights].map(([path, list]) => [path, list.map((each, i) => ({ ...each, name: `vars/${i}` }))]),
    );
    await expect(predict({ ...rest, weights: unnamed }, pixels)).rejects.toThrow(
      /weights do not fit the model: block\/conv\/kernel \[3,3,3,4\] is missing/,
    );
  });
});

describe.each(files)("%s", (file, record) => {
  beforeAll(registerOwnLayers);
  const path = join(customFolder, file);

  test("predicts what Keras does", async () => {
    expect(await predictionError(await readCheckpoint(path), record, record.outputs)).toBeLessThan(2e-5);
  });

  test("three training steps have Keras's losses and end with Keras's model", async () => {
    expect(await trainingError(await readCheckpoint(path), record)).toBeLessThan(2e-5);
  });

  test("is written back as .keras and .h5 under the same class names, with the same predictions", async () => {
    const checkpoint = await readCheckpoint(path);
    const bare = (name: string): string => name.replace(/^(__main__|custom_classes)>/, "");
    const classes = layerGraph(checkpoint).layers.map(({ className }) => bare(className));
    for (const ending of [".keras", ".h5"]) {
      const copy = join(scratch(), `copy${ending}`);
      await writeCheckpoint(copy, checkpoint);
      const read = await readCheckpoint(copy);
      expect(await predictionError(read, record, record.outputs)).toBeLessThan(2e-5);
      expect(layerGraph(read).layers.map(({ className }) => bare(className))).toEqual(classes);
    }
  });

  test("is inspected and planned with its weights", async () => {
    const checkpoint = await readCheckpoint(path);
    const custom = inspect(checkpoint).layers.filter(({ className }) =>
      /Scale|Block|Embedding/.test(className),
    );
    expect(custom.every(({ parameters }) => parameters > 0)).toBe(true);
    const plan = planFinetune(checkpoint, { freeze: freeze("block") });
    expect(plan.layers.find(({ path: own }) => own === "block")?.trainable).toBe(false);
  });
});

describe("registerLayer refuses", () => {
  const kernel = (): never => {
    throw new Error("not called");
  };

  test("a class of Keras's own, and names the package's form", () => {
    expect(() => registerLayer({ className: "Dense", spec: {}, kernel })).toThrow(
      /registerLayer: "Dense": expected a class that is not Keras's, got one of Keras's own\. .*"Package>Dense"/,
    );
  });

  test("the same class twice", () => {
    registerOwnLayers();
    expect(() => registerLayer({ className: "Pets>Scale", spec: {}, kernel })).toThrow(
      /registerLayer: "Pets>Scale": expected a class that is not registered yet, got it again/,
    );
  });

  test("Lambda as a class, which stands for any function", () => {
    expect(() => registerLayer({ className: "Lambda", spec: {}, kernel })).toThrow(/"Lambda>layer_name"/);
  });
});

test("cached features depend on the kernel's text and on the version", () => {
  const kernel: CustomKernel = ({ inputs: [x], ops }) => ops.mul(x, 2);
  registerLayer({ className: "Key>Doubled", spec: {}, kernel });
  registerLayer({ className: "Key>Later", spec: {}, kernel, version: 2 });
  registerLayer({ className: "Key>Tripled", spec: {}, kernel: ({ inputs: [x], ops }) => ops.mul(x, 3) });
  const identities = ["Key>Doubled", "Key>Later", "Key>Tripled"].map((name) => specOf(name)?.codeIdentity);
  expect(new Set(identities).size).toBe(3);
  expect(identities[0]).toContain(String(kernel));
});

test("a custom layer inside a TimeDistributed is that layer on each step", async () => {
  registerOwnLayers();
  const inner = {
    class_name: "Pets>Scale",
    config: { name: "scale", trainable: true, dtype: "float32", start: 1 },
  };
  const around = { class_name: "TimeDistributed", config: { name: "steps", trainable: true, layer: inner } };
  const model = (layer: JsonObject, prefix: string): Checkpoint => {
    const input = {
      class_name: "InputLayer",
      config: { name: "x", batch_input_shape: [null, 3, 2], dtype: "float32" },
    };
    const weight = (name: string, values: readonly number[]) => ({
      ...{ name: prefix + name, dtype: "float32" as const, shape: [2], data: Float32Array.from(values) },
    });
    return {
      ...{ format: "h5", kerasVersion: "2.15.0", notes: {} },
      modelConfig: { class_name: "Sequential", config: { name: "model", layers: [input, layer] } },
      weights: new Map([[prefix ? "steps" : "scale", [weight("factor", [2, 3]), weight("offset", [1, -1])]]]),
    };
  };
  const x: Tensor = { dtype: "float32", shape: [1, 3, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
  expect(await predict(model(around, "layer/"), x)).toEqual(await predict(model(inner, ""), x));
});
