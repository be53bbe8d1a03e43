/**
 * Runs that are killed at random moments and resumed, the engine that of the environment: ten times under `npm run test:all`,
 * KILLS times where that is set, a hundred by `npm run test:kills`.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Weights } from "../../src/index.ts";
import { readCheckpoint } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { isWhole } from "../sample.ts";

const kills = Number(process.env["KILLS"] ?? (isWhole ? 10 : 0));
const folder = mkdtempSync(join(tmpdir(), "kills-"));
const flags = [
  ...["--model", "fixtures/cli/small_resnet.keras", "--data", "fixtures/demo/photos"],
  ...[
    "--phase",
    "head epochs=2 lr=1e-2",
    "--phase",
    "conv3 epochs=2 lr=1e-3",
    "--augment",
    "light,mixup=0.2",
  ],
  ...["--views", "2", "--batch-size", "8", "--schedule", "cosine", "--accumulate", "2", "--ema", "0.9"],
  ...["--optimizer", "Nadam", "--cache", join(folder, "cache"), "--no-report"],
];
/** What a run that nobody stopped leaves. */
let whole: { readonly weights: Weights; readonly history: string };
let seconds = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the command line, and kills it after so many milliseconds. Returns its exit code, null where it was killed. */
function run(args: readonly string[], killAfter?: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["bin/finetune.js", ...args], { stdio: "ignore" });
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
    child.on("error", reject);
    child.on("exit", (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
}

/** Goes on with a run, or begins it anew where it was killed before its arguments were kept. */
async function goOn(out: string, killAfter?: number): Promise<number | null> {
  const code = await run(["--resume", out], killAfter);
  return code === 2 ? run([...flags, "--out", out], killAfter) : code;
}

async function resultsIn(out: string): Promise<typeof whole> {
  const rows = readFileSync(join(out, "history.csv"), "utf8").trim().split("\n");
  const timeless = rows.map((row) => row.slice(0, row.lastIndexOf(",")));
  expect(rows[0]).toMatch(/,seconds$/);
  return { weights: (await readCheckpoint(join(out, "model.keras"))).weights, history: timeless.join("\n") };
}

beforeAll(async () => {
  if (kills === 0) return;
  const out = join(folder, "whole");
  expect(await run([...flags, "--out", out])).toBe(0);
  const started = performance.now();
  expect(await run([...flags, "--out", join(folder, "cached")])).toBe(0);
  seconds = (performance.now() - started) / 1000;
  whole = await resultsIn(out);
}, 120_000);

const random = randomGenerator(kills);
test.skipIf(kills > 0)("runs are killed where KILLS is set", () => {});

test.each(
  Array.from({ length: kills }, (_, index) => [index + 1, random.nextFloat(), random.nextFloat()] as const),
)(
  "kill %i: the resumed run ends with the same bits",
  async (index, share, later) => {
    const out = join(folder, `killed-${index}`);
    await run([...flags, "--out", out], 1000 * seconds * share);
    // Every third is killed again on its way.
    if (index % 3 === 0) await goOn(out, 1000 * seconds * later);
    expect(await goOn(out)).toBe(0);
    expect(await resultsIn(out)).toEqual(whole);
    expect(readdirSync(out).filter((name) => name.startsWith("."))).toEqual([]);
    rmSync(out, { recursive: true });
  },
  120_000,
);
