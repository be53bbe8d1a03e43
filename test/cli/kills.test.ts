/** Runs that are killed at random moments and resumed, KILLS times: `npm run test:kills` does so a hundred times. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Weights } from "../../src/index.ts";
import { readCheckpoint } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";

const kills = Number(process.env["KILLS"] ?? 0);
const folder = mkdtempSync(join(tmpdir(), "kills-"));
const flags = [
  ...["--model", "fixtures/cli/small_resnet.keras", "--data", "fixtures/demo/photos"],
  ...["--phase", "head epochs=2 lr=1e-2", "--phase", "conv3 epochs=2 lr=1e-3"],
  ...["--batch-size", "8", "--schedule", "cosine", "--accumulate", "2", "--optimizer", "Nadam"],
  ...["--cache", join(folder, "cache")],
];
let whole: Weights;
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

async function weightsIn(out: string): Promise<Weights> {
  return (await readCheckpoint(join(out, "model.keras"))).weights;
}

beforeAll(async () => {
  if (kills === 0) return;
  const out = join(folder, "whole");
  expect(await run([...flags, "--out", out])).toBe(0);
  const started = performance.now();
  expect(await run([...flags, "--out", join(folder, "cached")])).toBe(0);
  seconds = (performance.now() - started) / 1000;
  whole = await weightsIn(out);
}, 120_000);

const random = randomGenerator(kills);
test.skipIf(kills > 0)("runs are killed where KILLS is set", () => {});

test.each(Array.from({ length: kills }, (_, index) => [index + 1, random.nextFloat()] as const))(
  "kill %i: the resumed run ends with the same bits",
  async (index, share) => {
    const out = join(folder, `killed-${index}`);
    await run([...flags, "--out", out], 1000 * seconds * share);
    const code = await run(["--resume", out]);
    if (code === 2) expect(await run([...flags, "--out", out])).toBe(0);
    else expect(code).toBe(0);
    expect(await weightsIn(out)).toEqual(whole);
  },
  120_000,
);
