import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { LearningRateOptions } from "../../src/index.ts";
import { arrayDataset, findLearningRate, finetune, freezeAllButHead, freezeUntil } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { writeReport } from "../../src/run/saved-runs.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { runCli } from "../cli/run-cli.ts";

const model = "fixtures/cli/small_resnet.keras";
const [size, classes, count] = [32, 4, 16];

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

function arrays(): ReturnType<typeof arrayDataset> {
  const random = randomGenerator(count);
  const labels = Float32Array.from({ length: count }, (_, row) => row % classes);
  const pixels = Float32Array.from(
    { length: count * size * size * 3 },
    (_, index) => random.nextFloat() + (labels[Math.floor(index / (size * size * 3))] ?? 0) / 2,
  );
  return arrayDataset(float32Tensor(pixels, [count, size, size, 3]), float32Tensor(labels, [count]));
}

const options: LearningRateOptions = {
  ...{ model, data: arrays(), freeze: freezeAllButHead(), batchSize: 8, cache: false },
};

function scratch(): string {
  const own = mkdtempSync(join(tmpdir(), "rates-"));
  onTestFinished(() => rmSync(own, { recursive: true }));
  return own;
}

describe("findLearningRate", () => {
  test("raises the rate exponentially from 1e-7 to 10 and suggests one at which the loss falls", async () => {
    const { curve, suggestion, suggestions, diverged } = await findLearningRate(options);
    const logs = curve.map(({ learningRate }) => Math.log10(learningRate));
    expect([logs[0], diverged ? null : logs.at(-1)]).toEqual([-7, diverged ? null : 1]);
    for (const [step, log] of logs.entries()) expect(log).toBeCloseTo(-7 + (8 * step) / 99, 6);
    expect(suggestion).toBe(suggestions?.valley);
    const place = curve.findIndex(({ learningRate }) => learningRate === suggestion);
    const lowest = Math.min(...curve.map(({ loss }) => loss));
    expect(curve[place]?.loss).toBeLessThan(curve[0]?.loss ?? 0);
    expect(curve[place]?.loss).toBeGreaterThan(lowest);
  });

  test("begins with the loss that a run's first step has, and smooths what follows", async () => {
    const { curve } = await findLearningRate({ ...options, batchSize: count, steps: 10 });
    const { history } = await finetune({ ...options, batchSize: count, epochs: 1 });
    expect(curve[0]?.batchLoss).toBe(history[0]?.loss);
    let average = 0;
    for (const [step, { loss, batchLoss }] of curve.entries()) {
      average = 0.98 * average + 0.02 * batchLoss;
      expect(loss).toBeCloseTo(average / (1 - 0.98 ** (step + 1)), 10);
    }
  });

  test("is repeated to the bit by the same seed, and differs by another", async () => {
    const own = { ...options, freeze: freezeUntil("conv3"), steps: 12, batchSize: 4 };
    const first = await findLearningRate(own);
    expect(await findLearningRate(own)).toEqual(first);
    expect((await findLearningRate({ ...own, seed: 1 })).curve).not.toEqual(first.curve);
  });

  test("tests the first phase, whatever rates the phases have, with the optimizer's momentum and averaged batches", async () => {
    const shared = { ...options, freeze: undefined, steps: 10, optimizer: "SGD", momentum: 0.9 };
    const head = await findLearningRate({ ...shared, freeze: freezeAllButHead(), accumulate: 2 });
    const phases = await findLearningRate({
      ...shared,
      accumulate: 2,
      phases: [
        { freeze: freezeAllButHead(), epochs: 2, learningRate: 0.3 },
        { freeze: freezeUntil("conv3"), epochs: 2 },
      ],
    });
    expect(phases.curve.map(({ learningRate }) => learningRate)).toEqual(
      head.curve.map(({ learningRate }) => learningRate),
    );
    for (const [step, { loss }] of phases.curve.entries())
      expect(loss).toBeCloseTo(head.curve[step]?.loss ?? Number.NaN, 4);
  });

  test("ends where the loss has grown fourfold, before the rates that make it worse", async () => {
    const { curve, diverged } = await findLearningRate({
      ...{ ...options, optimizer: "SGD", momentum: 0.9, endRate: 1e6 },
    });
    const best = Math.min(...curve.map(({ loss }) => loss));
    expect([diverged, curve.length < 100]).toEqual([true, true]);
    expect(curve.slice(0, -1).every(({ loss }) => loss <= 4 * best)).toBe(true);
  });

  test("writes nothing without out, and with it a curve whose page report makes again", async () => {
    const before = readFileSync(model);
    const out = join(scratch(), "rates");
    const { report, ...found } = await findLearningRate({ ...options, steps: 12, out });
    expect(readdirSync(out).sort()).toEqual(["lr-find.json", "report.html"]);
    expect(report).toBe(join(out, "report.html"));
    const kept = JSON.parse(readFileSync(join(out, "lr-find.json"), "utf8")) as typeof found;
    expect(kept.curve).toEqual(found.curve);
    const page = readFileSync(join(out, "report.html"), "utf8");
    rmSync(join(out, "report.html"));
    expect(await writeReport([out], undefined)).toBe(report);
    expect(readFileSync(join(out, "report.html"), "utf8")).toBe(page);
    expect(readFileSync(model)).toEqual(before);
    await expect(findLearningRate({ ...options, out })).rejects.toThrow(/expected a new or empty folder/);
  });

  test("refuses ranges that do not rise, and options of no run", async () => {
    await expect(findLearningRate({ ...options, steps: 3 })).rejects.toThrow(/^steps: .* 10 or more, got 3/);
    await expect(findLearningRate({ ...options, startRate: 1, endRate: 0.1 })).rejects.toThrow(
      /^endRate: expected a rate above 1, the first, got 0.1/,
    );
    await expect(findLearningRate({ ...options, rate: 1 } as never)).rejects.toThrow(/^rate: unknown option/);
  });
});

describe("finetune lr-find", () => {
  const flags = ["--model", model, "--data", "fixtures/demo/photos", "--batch-size", "8", "--steps", "20"];

  test("draws the curve and says the command to run next", async () => {
    const { code, stdout } = await runCli(["lr-find", ...flags, "--freeze-until", "head", "--lr=3"]);
    expect(code).toBe(0);
    const [, rate] = /^suggested (\S+) {2}\(v: /m.exec(stdout) ?? [];
    expect(stdout).toMatch(/^ +\| .*\*/m);
    expect(stdout).toContain(
      `next      finetune --model ${model} --data fixtures/demo/photos --batch-size 8 --freeze-until head --lr ${rate}\n`,
    );
  });

  test("--json prints the curve and the suggestion", async () => {
    const { code, stdout } = await runCli(["lr-find", ...flags, "--json"]);
    const { curve, suggestion } = JSON.parse(stdout) as Awaited<ReturnType<typeof findLearningRate>>;
    expect([code, curve.length]).toEqual([0, 20]);
    expect(curve.map(({ learningRate }) => learningRate)).toContain(suggestion);
  });
});
