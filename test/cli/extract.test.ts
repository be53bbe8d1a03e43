import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { fixture, photos, runCli, scratch } from "./run-cli.ts";

const model = fixture("cli", "small_resnet.keras");

describe("finetune extract", () => {
  test("takes its share from the environment of an array's task, and training then extracts nothing", async () => {
    const [data, cache] = [photos({ brick: 3, grass: 3 }), join(scratch(), "shared")];
    const args = ["--model", model, "--data", data, "--cache", cache, "--json"];
    const shards = [];
    for (const index of ["0", "1"]) {
      const env = { JOB_COMPLETION_INDEX: index, JOB_COMPLETIONS: "2" };
      const { code, stdout, stderr } = await runCli(["extract", ...args], { env });
      expect([code, stderr.match(/^\s+at /m)]).toEqual([0, null]);
      shards.push(JSON.parse(stdout));
    }
    expect(Object.keys(shards[0])).toEqual(["shard", "samples", "extracted", "cached", "bytes", "seconds"]);
    expect(shards.map(({ shard }) => shard)).toEqual([
      { index: 0, count: 2 },
      { index: 1, count: 2 },
    ]);
    const names = readdirSync(cache, { recursive: true, encoding: "utf8" }).map((path) => basename(path));
    expect(names.filter((name) => name.startsWith("shard")).sort()).toEqual([
      "shard-0-of-2.json",
      "shard-1-of-2.json",
    ]);
    const trained = await runCli([...args, "--epochs", "1", "--out", join(scratch(), "run")]);
    const { features } = JSON.parse(trained.stdout);
    const total = shards.reduce((sum, { samples }) => sum + samples, 0);
    expect(features).toMatchObject({ extracted: 0, cached: total });
  });

  test("names the flag of a share that is none, and exits with 2", async () => {
    const refused = await runCli([
      "extract",
      "--model",
      model,
      "--data",
      photos({ brick: 3, grass: 3 }),
      "--shard",
      "8/8",
    ]);
    expect([refused.code, refused.stdout]).toEqual([2, ""]);
    expect(refused.stderr).toContain('--shard: expected I/N with I from 0 to N - 1, such as 0/8, got "8/8".');
  });
});

test("an unknown transformation is refused by the flag, with the nearest name", async () => {
  const refused = await runCli([
    "--model",
    model,
    "--data",
    photos({ brick: 3, grass: 3 }),
    "--augment",
    "flip,rotat=10",
  ]);
  expect([refused.code, refused.stdout]).toEqual([2, ""]);
  expect(refused.stderr).toMatch(/^--augment "rotat": expected light, [\s\S]*Did\s+you\s+mean\s+rotate\?/m);
});
