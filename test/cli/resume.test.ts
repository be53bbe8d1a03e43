import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readCheckpoint } from "../../src/index.ts";
import { fixture, photos, runCli, scratch } from "./run-cli.ts";

const model = fixture("cli", "small_resnet.keras");
const flags = (out: string, ...more: string[]): string[] => [
  ...["--model", model, "--data", photos({ train: { brick: 4, grass: 4 }, val: { brick: 1, grass: 1 } })],
  ...["--freeze-until", "conv3", "--batch-size", "4", "--no-report", "--out", out, ...more],
];
const modified = (out: string): unknown[] =>
  readdirSync(out, { recursive: true }).map((name) => [name, statSync(join(out, String(name))).mtimeMs]);
const epochsIn = (out: string): number =>
  readFileSync(join(out, "history.csv"), "utf8").trim().split("\n").length - 1;

test("--resume of a finished run prints one line, writes nothing, and goes on with --epochs", async () => {
  const out = join(scratch(), "run");
  expect((await runCli(flags(out, "--epochs", "1"))).code).toBe(0);
  const before = modified(out);
  const again = await runCli(["--resume", out]);
  expect([again.code, again.stdout]).toEqual([
    0,
    `finished  ${out} after epoch 1 of 1. Ask for more with --epochs.\n`,
  ]);
  expect(modified(out)).toEqual(before);
  const json = await runCli(["--resume", out, "--json"]);
  expect(JSON.parse(json.stdout)).toMatchObject({ out, epochs: 1, files: [] });
  expect(modified(out)).toEqual(before);
  const more = await runCli(["--resume", out, "--epochs", "3"]);
  expect([more.code, epochsIn(out)]).toEqual([0, 3]);
  expect(more.stdout).toContain("resumed   after epoch 1 of 3");
});

describe("--resume is refused with exit code 2", () => {
  test("beside another flag, and for a folder without a run", async () => {
    const beside = await runCli(["--resume", "runs/x", "--lr", "0.1"]);
    expect([beside.code, beside.stderr]).toEqual([
      2,
      expect.stringContaining("--resume: expected to stand alone"),
    ]);
    const folder = await runCli(["--resume", scratch()]);
    expect([folder.code, folder.stderr]).toEqual([2, expect.stringContaining("a run folder with a state")]);
  });
});

test("values that are not finite end a run with exit code 1: the layer is named, the best epoch kept", async () => {
  const out = join(scratch(), "run");
  const result = await runCli([
    ...["--model", model, "--data", fixture("demo", "photos"), "--out", out, "--optimizer", "SGD"],
    ...["--phase", "head epochs=1 lr=1e-3", "--phase", "conv3 epochs=9 lr=1e38", "--no-report"],
  ]);
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(
    /^conv3_\w+(?:\/\w+)?: values (?:in epoch \d, step \d|after epoch \d): expected finite numbers, got NaN or infinity/m,
  );
  expect(result.stdout).toMatch(/^stopped +after epoch \d; epoch 1, the best, is saved in /m);
  expect(epochsIn(out)).toBeLessThan(10);
  const { weights } = await readCheckpoint(join(out, "model.keras"));
  const values = [...weights.values()].flatMap((layer) =>
    layer.flatMap(({ data }) => [...(data as Float32Array)]),
  );
  expect(values.every(Number.isFinite)).toBe(true);
});
