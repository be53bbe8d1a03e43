/** Lambda layers: what their refusal says, and how a program makes one known. */
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Checkpoint, Json, JsonObject, Tensor } from "../src/index.ts";
import { layerGraph, predict, readCheckpoint, registerLayer, writeCheckpoint } from "../src/index.ts";
import { lambdaRefusal } from "../src/topology/lambda-refusal.ts";
import { scratch } from "./hdf5/temporary.ts";

const file = "fixtures/cli/lambda.keras";
const pixels: Tensor = {
  dtype: "float32",
  shape: [1, 32, 32, 3],
  data: Float32Array.from({ length: 32 * 32 * 3 }, (_, index) => Math.sin(index)),
};

/** Bytecode as `marshal` writes it: each name behind its type and its length. */
function bytecode(...names: readonly string[]): string {
  return Buffer.concat(
    names.flatMap((name) => [Buffer.from([0xda, name.length]), Buffer.from(name), Buffer.from([0x29, 1])]),
  ).toString("base64");
}

function refusalOf(written: Json, name = "lambda_1"): string {
  const { reason, advice } = lambdaRefusal({ name, config: { function: written } });
  return `${reason}. ${advice}`;
}

describe("the refusal of a Lambda", () => {
  test("says that the file has bytecode, and how to write its function in TypeScript", async () => {
    await expect(predict(await readCheckpoint(file), pixels)).rejects.toThrow(
      /double \(Lambda\): a Lambda is Python code: the file has its bytecode\. .* class "Lambda>double" \(docs\/custom-layers\.md\)/,
    );
  });

  test("lists the names in the bytecode, and what does the same in Keras", () => {
    const code = bytecode("tf", "nn", "l2_normalize", "axis", "x");
    const expected = /bytecode, which names l2_normalize, axis\. Replace it .* \(UnitNormalization\)/;
    expect(refusalOf([code, null, null])).toMatch(expected);
    expect(refusalOf({ class_name: "__lambda__", config: { code, defaults: null, closure: null } })).toMatch(
      expected,
    );
  });

  test("names a function whose code is in no file, and its module", () => {
    const written = { class_name: "function", config: "preprocess_input", module: "my_code" };
    expect(refusalOf(written)).toMatch(
      /the file has only the name of its function, preprocess_input of my_code\. .* \(Rescaling or Normalization\)/,
    );
    expect(refusalOf("euclidean_distance")).toMatch(/name of its function, euclidean_distance\. /);
  });

  test("of anything else is still one", () => {
    for (const written of [null, 3, [], {}, "", ["%%%"]])
      expect(refusalOf(written)).toMatch(/a Lambda is Python code/);
  });
});

describe("a registered Lambda", () => {
  test("computes what its kernel does, and stays a Lambda in the written file", async () => {
    const before = await readCheckpoint(file);
    registerLayer({
      className: "Lambda>double",
      spec: {},
      kernel: ({ inputs: [x], ops }) => ops.mul(x, 2),
    });
    const checkpoint = await readCheckpoint(file);
    const doubling: Checkpoint = { ...checkpoint, modelConfig: withRescaling(checkpoint.modelConfig) };
    const expected = await predict(doubling, pixels);
    expect(await predict(checkpoint, pixels)).toEqual(expected);
    expect(await predict(before, pixels)).toEqual(expected);
    const copy = join(scratch(), "copy.keras");
    await writeCheckpoint(copy, checkpoint);
    const { modelConfig } = await readCheckpoint(copy);
    expect(modelConfig).toEqual(checkpoint.modelConfig);
    expect(layerGraph(checkpoint).layers.map(({ className }) => className)).toContain("Lambda>double");
  });
});

/** Replaces the Lambda of the model by Keras's layer that doubles too. */
function withRescaling(modelConfig: JsonObject): JsonObject {
  const { layers, ...config } = modelConfig["config"] as { layers: readonly JsonObject[] };
  const replaced = layers.map((layer) =>
    layer["class_name"] === "Lambda"
      ? {
          ...layer,
          class_name: "Rescaling",
          config: { name: "double", scale: 2, offset: 0, dtype: "float32" },
        }
      : layer,
  );
  return { ...modelConfig, config: { ...config, layers: replaced } };
}
