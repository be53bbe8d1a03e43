/** Custom layers that a program registers, compared with the Keras that wrote the files. */
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, Tensor } from "../src/index.ts";
import {
  createTrainer,
  freeze,
  inspect,
  layerGraph,
  planFinetune,
  predict,
  readCheckpoint,
  registerLayer,
  writeCheckpoint,
} from "../src/index.ts";
import type { PackedTensor } from "./formats/model-fixtures.ts";
import { unpacked } from "./formats/model-fixtures.ts";
import { scratch } from "./hdf5/temporary.ts";
import { registerOwnLayers } from "./layers/own-layers.ts";

interface CustomRecord {
  readonly files: readonly string[];
  readonly inputs: readonly PackedTensor[];
  readonly outputs: readonly PackedTensor[];
  readonly targets: PackedTensor;
  readonly losses: readonly number[];
  readonly trained: readonly PackedTensor[];
}

const folder = "fixtures/custom";
const files = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .flatMap((name) => {
    const record = JSON.parse(readFileSync(join(folder, name), "utf8")) as CustomRecord;
    return record.files.map((file) => [file, record] as const);
  });

function distance(a: Tensor | undefined, b: Tensor | undefined): number {
  expect(a?.shape).toEqual(b?.shape);
  const other = b?.data as Float32Array;
  return Math.max(
    ...Array.from(a?.data as Float32Array, (value, i) => Math.abs(value - (other[i] ?? Number.NaN))),
  );
}

async function predicted(checkpoint: Checkpoint, record: CustomRecord): Promise<Tensor | undefined> {
  const [output] = await predict(checkpoint, record.inputs.map(unpacked));
  return output;
}

describe("before a class is registered", () => {
  test("a file with it is read, and what computes it says how to make it known", async () => {
    const checkpoint = await readCheckpoint(join(folder, "k3-images.keras"));
    const [, record] = files.find(([file]) => file === "k3-images.keras") ?? [];
    await expect(predicted(checkpoint, record as CustomRecord)).rejects.toThrow(
      /block \(Pets>ConvBlock\): a custom class, whose code is not in the file\. .*registerLayer, or --layers FILE .*docs\/custom-layers\.md/,
    );
  });

  test("its graph is built again once the class is known", async () => {
    const { modelConfig, kerasVersion } = await readCheckpoint(join(folder, "k3-images.keras"));
    expect(layerGraph({ modelConfig, kerasVersion }).nodes.at(-1)?.outputs[0]?.shape).toBeNull();
    registerOwnLayers();
    expect(layerGraph({ modelConfig, kerasVersion }).nodes.at(-1)?.outputs[0]?.shape).toEqual([null, 3]);
  });

  test("a checkpoint that was read before is refused by name, since its weights have no names yet", async () => {
    const { weights, ...rest } = await readCheckpoint(join(folder, "k3-images.keras"));
    const unnamed = new Map(
      [...weights].map(([path, list]) => [path, list.map((each, i) => ({ ...each, name: `vars/${i}` }))]),
    );
    const [, record] = files.find(([file]) => file === "k3-images.keras") ?? [];
    await expect(predicted({ ...rest, weights: unnamed }, record as CustomRecord)).rejects.toThrow(
      /block: weight conv\/kernel: expected one of that name, got vars\/0, .* read the file again/,
    );
  });
});

describe.each(files)("%s", (file, record) => {
  beforeAll(registerOwnLayers);
  const path = join(folder, file);

  test("predicts what Keras does", async () => {
    const output = await predicted(await readCheckpoint(path), record);
    expect(distance(output, unpacked(record.outputs[0]!))).toBeLessThan(2e-5);
  });

  test("three training steps have Keras's losses and end with Keras's model", async () => {
    const trainer = await createTrainer(await readCheckpoint(path), {
      freeze: [],
      optimizer: { class_name: "SGD", config: { learning_rate: 0.1 } },
      loss: "categorical_crossentropy",
      bnMode: "freeze",
    });
    for (const expected of record.losses) {
      const { loss } = await trainer.trainOnBatch(record.inputs.map(unpacked), unpacked(record.targets));
      expect(Math.abs(loss - expected)).toBeLessThan(2e-5);
    }
    const output = await predicted(trainer.checkpoint(), record);
    trainer.dispose();
    expect(distance(output, unpacked(record.trained[0]!))).toBeLessThan(2e-5);
  });

  test("is written back as .keras and .h5 under the same class names, with the same predictions", async () => {
    const checkpoint = await readCheckpoint(path);
    for (const ending of [".keras", ".h5"]) {
      const copy = join(scratch(), `copy${ending}`);
      await writeCheckpoint(copy, checkpoint);
      const read = await readCheckpoint(copy);
      expect(distance(await predicted(read, record), unpacked(record.outputs[0]!))).toBeLessThan(2e-5);
      const [plain, other] = [layerGraph(checkpoint), layerGraph(read)];
      const bare = (name: string): string => name.replace("__main__>", "").replace("custom_classes>", "");
      expect(other.layers.map(({ className }) => bare(className))).toEqual(
        plain.layers.map(({ className }) => bare(className)),
      );
    }
  });

  test("is inspected and planned with its weights", async () => {
    const checkpoint = await readCheckpoint(path);
    const { layers } = inspect(checkpoint);
    const custom = layers.filter(({ className }) => /Scale|Block|Embedding/.test(className));
    expect(custom.every(({ parameters }) => parameters > 0)).toBe(true);
    const plan = planFinetune(checkpoint, { freeze: freeze("block") });
    expect(plan.layers.find(({ path: own }) => own === "block")?.trainable).toBe(false);
    expect(extname(file)).toMatch(/keras|h5/);
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
