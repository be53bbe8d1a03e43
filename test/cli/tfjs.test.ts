import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fixture, photos, runCli, scratch } from "./run-cli.ts";

const model = fixture("cli", "small_resnet.keras");
const graph = fixture("tfjs-graphs", "features", "model.json");
const parity =
  /^parity +largest difference (?:0|\d\.\de-[6-9]) between the predictions of both files on 2 probes/m;

test("convert writes a folder of tfjs, and from it .keras, .h5 and weights alone, each compared", async () => {
  const folder = scratch();
  const web = join(folder, "web_model");
  const there = await runCli(["convert", model, web]);
  expect([there.code, there.stderr]).toEqual([0, ""]);
  expect(there.stdout).toMatch(parity);
  expect(readdirSync(web).sort()).toEqual(["group1-shard1of1.bin", "model.json"]);
  for (const name of ["back.keras", "back.h5"]) {
    const back = await runCli(["convert", join(web, "model.json"), join(folder, name)]);
    expect([back.code, back.stderr]).toEqual([0, ""]);
    expect(back.stdout).toMatch(parity);
  }
  const weights = await runCli(["convert", web, join(folder, "back.weights.h5")]);
  expect(weights.stdout).toMatch(parity);
});

test("inspect says that a file is of tfjs, and which layer a graph is", async () => {
  const layers = await runCli(["inspect", fixture("tfjs", "sequential-uint8")]);
  expect(layers.stdout).toMatch(/^model .*, tfjs, Keras 2\.15\.0, \d+ layers\)$/m);
  const whole = await runCli(["inspect", graph]);
  expect(whole.stdout).toMatch(/^model .*, tfjs, /m);
  expect(whole.stdout).toMatch(/ graph +tfjs>GraphModel /);
});

test("a graph model trains a head on pictures, and predicts with it; Keras's formats refuse it by name", async () => {
  const folder = scratch();
  const out = join(folder, "run");
  const data = photos({ train: { brick: 6, grass: 6 }, val: { brick: 2, grass: 2 } });
  const run = await runCli([
    ...[
      "--model",
      graph,
      "--data",
      data,
      "--epochs",
      "2",
      "--lr",
      "0.01",
      "--preprocess",
      "tf",
      "--out",
      out,
    ],
  ]);
  expect([run.code, run.stderr.match(/^\s+at /m)]).toEqual([0, null]);
  expect(existsSync(join(out, "model_tfjs", "model.json"))).toBe(true);
  expect(JSON.parse(readFileSync(join(out, "labels.json"), "utf8"))).toEqual(["brick", "grass"]);
  const predicted = await runCli(["predict", out, join(data, "val", "grass"), "--json"]);
  const results = JSON.parse(predicted.stdout) as { predictions: { label: string; probability: number }[] }[];
  expect(results.map(({ predictions }) => predictions.length)).toEqual([2, 2]);
  const refused = await runCli(["convert", graph, join(folder, "model.keras")]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("a tfjs graph model has no layers that a Keras file could hold");
  const asKeras = await runCli([
    ...[
      "--model",
      graph,
      "--data",
      data,
      "--epochs",
      "1",
      "--format",
      "keras",
      "--out",
      join(folder, "other"),
    ],
  ]);
  expect([asKeras.code, existsSync(join(folder, "other"))]).toEqual([1, false]);
});

test("a model that tfjs-layers cannot represent is refused before anything is trained or written", async () => {
  const folder = scratch();
  const grouped = fixture("models", "k3-convolutions.keras");
  const converted = await runCli(["convert", grouped, join(folder, "web")]);
  expect([converted.code, existsSync(join(folder, "web"))]).toEqual([1, false]);
  expect(converted.stderr).toMatch(/grouped: Conv2D: tfjs-layers does not support groups/);
});
