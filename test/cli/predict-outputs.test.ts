/** `finetune predict` of models with several outputs, and of one with several labels. */
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, Weight } from "../../src/checkpoint.ts";
import { loadImages, predict, writeCheckpoint } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { dense, imageInput, network, pool } from "../freeze/networks.ts";
import { lastingScratch, photos, runCli } from "./run-cli.ts";

const random = randomGenerator(5);

function kernel(units: number): readonly Weight[] {
  const values = (length: number): Float32Array =>
    Float32Array.from({ length }, () => random.nextFloat() * 2 - 1);
  return [
    { name: "kernel", dtype: "float32", shape: [3, units], data: values(3 * units) },
    { name: "bias", dtype: "float32", shape: [units], data: values(units) },
  ];
}

const heads = [
  ["kind", 3, "softmax"],
  ["marks", 4, "sigmoid"],
  ["age", 1, "linear"],
] as const;

function modelOf(own: readonly (typeof heads)[number][], notes: Checkpoint["notes"] = {}): Checkpoint {
  const outputs = own.map(([name]) => name);
  const layers = own.map(([name, units, activation]) =>
    dense(name, units, { config: { activation }, calls: [["pool"]] }),
  );
  return {
    format: "h5",
    ...network([imageInput(), pool(), ...layers], { outputs }),
    weights: new Map(own.map(([name, units]) => [name, kernel(units)])),
    notes: { preprocess: "unit", ...notes },
  };
}

let folder: string;
beforeAll(() => {
  folder = lastingScratch();
});

async function document(args: readonly string[]): Promise<readonly Record<string, unknown>[]> {
  const { code, stdout, stderr } = await runCli(["predict", ...args, "--json"]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>[];
}

describe("a model with three outputs", () => {
  let path: string;
  let image: string;
  let scores: readonly number[][];

  beforeAll(async () => {
    path = join(folder, "several.h5");
    const checkpoint = modelOf(heads);
    await writeCheckpoint(path, checkpoint);
  });

  test("prints each output in its form, or the one that --output names", async () => {
    image = join(photos({ brick: 1 }), "brick", "brick-00.jpg");
    const input = await loadImages([image], { imageSize: 16, preprocess: "unit" });
    const { readCheckpoint } = await import("../../src/index.ts");
    scores = (await predict(await readCheckpoint(path), input)).map(({ data }) => Array.from(data, Number));
    const [said] = await document([path, image]);
    const outputs = said?.["outputs"] as Record<
      string,
      { predictions?: { index: number; probability: number }[]; value?: number }
    >;
    expect(Object.keys(outputs)).toEqual(["kind", "marks", "age"]);
    const [kind = [], marks = [], age = []] = scores;
    expect(outputs["kind"]?.predictions?.map(({ probability }) => probability)).toEqual(
      kind.toSorted((a, b) => b - a).map((value) => expect.closeTo(value, 5)),
    );
    expect(outputs["marks"]?.predictions?.map(({ index }) => index).sort()).toEqual(
      marks.flatMap((value, index) => (value > 0.5 ? [index] : [])),
    );
    expect(outputs["age"]?.value).toBeCloseTo(age[0] ?? Number.NaN, 5);
    const [only] = await document([path, image, "--output", "age"]);
    expect(only?.["values"]).toEqual({ age: expect.closeTo(age[0] ?? Number.NaN, 5) });
    const { stdout } = await runCli(["predict", path, image]);
    expect(stdout.split("\n").map((line) => line.trim().split(/\s+/)[0])).toEqual(
      expect.arrayContaining(["kind", "marks", "age"]),
    );
    const { code, stderr } = await runCli(["predict", path, image, "--output", "size"]);
    expect([code, stderr.trim()]).toEqual([2, "--output: expected one of kind, marks, age, got size."]);
  });
});

test("every label over --threshold is printed by its name, and none where none is", async () => {
  const path = join(folder, "labels.keras");
  const labels = ["red", "blue", "round", "new"];
  await writeCheckpoint(path, modelOf([heads[1]], { labels }));
  const image = join(photos({ grass: 1 }), "grass", "grass-00.jpg");
  const named = async (threshold: string): Promise<readonly string[]> => {
    const [said] = await document([path, image, "--threshold", threshold]);
    const predictions = (said?.["predictions"] ?? []) as { label: string }[];
    return predictions.map(({ label }) => label);
  };
  expect((await named("0")).toSorted()).toEqual(labels.toSorted());
  const some = await named("0.5");
  expect(some.length).toBeLessThanOrEqual(4);
  expect(await named("1")).toEqual([]);
  const { stdout } = await runCli(["predict", path, image, "--threshold", "1"]);
  expect(stdout).toContain("no label is over the threshold");
});
