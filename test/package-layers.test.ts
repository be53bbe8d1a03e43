/** Layers of well-known packages, compared with the Keras that ran the packages' own. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { writingWarnings } from "../src/formats/formats.ts";
import { inspect, layerGraph, planFinetune, readCheckpoint, writeCheckpoint } from "../src/index.ts";
import { packageClasses } from "../src/topology/dialects/package-layers.ts";
import { customFiles, customFolder, predictionError, trainingError } from "./custom-records.ts";
import { scratch } from "./hdf5/temporary.ts";

describe.each(customFiles("2"))("%s", (file, record) => {
  const path = join(customFolder, file);

  test("predicts what Keras does", async () => {
    expect(await predictionError(await readCheckpoint(path), record, record.outputs)).toBeLessThan(2e-5);
  });

  test("three training steps have Keras's losses and end with Keras's model", async () => {
    expect(await trainingError(await readCheckpoint(path), record)).toBeLessThan(2e-5);
  });

  test("is written as .keras and .h5 with the same predictions", async () => {
    const checkpoint = await readCheckpoint(path);
    for (const ending of [".keras", ".h5"]) {
      const copy = join(scratch(), `copy${ending}`);
      await writeCheckpoint(copy, checkpoint);
      expect(await predictionError(await readCheckpoint(copy), record, record.outputs)).toBeLessThan(2e-5);
    }
  });

  test("the plan names each class with its package, and what it runs as", async () => {
    const { warnings } = planFinetune(await readCheckpoint(path), {});
    const known = warnings.filter((warning) => warning.includes("is taken for the class of"));
    expect(known.length).toBeGreaterThanOrEqual(4);
  });
});

test("FixedDropout is Dropout here and in a written .keras, and stays what it was in .h5", async () => {
  const checkpoint = await readCheckpoint(join(customFolder, "k215-packages.h5"));
  expect(inspect(checkpoint).layers.find(({ path }) => path === "drop")?.className).toBe("Dropout");
  const classOf = async (ending: string): Promise<unknown> => {
    const copy = join(scratch(), `copy${ending}`);
    await writeCheckpoint(copy, checkpoint);
    const { config } = (await readCheckpoint(copy)).modelConfig as {
      config: { layers: { class_name: string; config: { name: string } }[] };
    };
    return config.layers.find((layer) => layer.config.name === "drop")?.class_name;
  };
  expect([await classOf(".keras"), await classOf(".h5")]).toEqual(["Dropout", "FixedDropout"]);
});

test("what is written says which Python classes Keras needs, which are fewer in .keras", async () => {
  const checkpoint = await readCheckpoint(join(customFolder, "k215-packages.h5"));
  const custom = "BilinearUpsampling, Custom>ExpandLastDim, InstanceNormalization, L2Normalization, Scale";
  expect(writingWarnings(checkpoint, "keras")[0]).toContain(`with the Python classes ${custom}: pass them`);
  expect(writingWarnings(checkpoint, "h5")[0]).toMatch(
    / BatchNorm, .* FixedDropout, FrozenBatchNormalization, /,
  );
  const plain = await readCheckpoint("fixtures/cli/small_resnet.h5");
  expect(writingWarnings(plain, "keras")).toEqual([]);
});

test("a class of a package's name with other arguments is somebody else's, and is refused as a custom class", () => {
  const layers = [
    { class_name: "InputLayer", config: { name: "x", batch_input_shape: [null, 4], dtype: "float32" } },
    { class_name: "Scale", config: { name: "scale", initial_factor: 1 } },
  ];
  const modelConfig = { class_name: "Sequential", config: { name: "model", layers } };
  const graph = layerGraph({ modelConfig, kerasVersion: "2.15.0" });
  expect(graph.layers.map(({ className }) => className)).toEqual(["InputLayer", "Scale"]);
  expect(graph.nodes.at(-1)?.outputs[0]?.shape).toBeNull();
});

test("docs/custom-layers.md has a line for each class of a package", () => {
  const page = readFileSync("docs/custom-layers.md", "utf8");
  const missing = packageClasses.filter(({ written }) => !page.includes(`| \`${written}\` |`));
  expect(missing.map(({ written }) => written)).toEqual([]);
});
