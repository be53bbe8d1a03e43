import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Weights } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { extractionBatchWithin } from "../../src/features/extraction-batch.ts";
import type { FinetuneOptions } from "../../src/index.ts";
import {
  arrayDataset,
  evaluate,
  finetune,
  freeze,
  freezeAllButHead,
  predict,
  UsageError,
} from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import type { MemoryQuestion } from "../../src/run/memory.ts";
import { fittedStep } from "../../src/run/memory.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import type { PreparedRun } from "../../src/run/prepared-run.ts";
import { resolveOptions } from "../../src/run/settings.ts";
import { float32Tensor } from "../../src/tensor.ts";
import { distance } from "../formats/distance.ts";
import { wideNetwork } from "./wide-network.ts";

const folder = mkdtempSync(join(tmpdir(), "memory-"));
afterAll(() => rmSync(folder, { recursive: true }));
beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const [side, filters, classes, samples] = [96, 16, 3, 32];
const random = randomGenerator(1);

const model = wideNetwork({ side, channels: 1, filters, classes });
const labels = Float32Array.from({ length: samples }, (_, row) => row % classes);
const pixels = Float32Array.from(
  { length: samples * side * side },
  (_, index) => 100 * random.nextFloat() + 60 * (labels[Math.floor(index / side ** 2)] ?? 0),
);
const inputs = float32Tensor(pixels, [samples, side, side, 1]);
const data = arrayDataset(inputs, float32Tensor(labels, [samples]));
const asked: FinetuneOptions = {
  ...{ model, data, freeze: freeze("none"), epochs: 2, keepHead: true, cache: false, report: false },
  ...{ optimizer: "SGD", learningRate: 0.05 },
};
const prepared = (more: Partial<FinetuneOptions>): Promise<PreparedRun> =>
  prepareRun(resolveOptions({ ...asked, ...more }), { isTimed: false });
const bytesWith = async (batchSize: number): Promise<number> =>
  (await prepared({ batchSize })).plan.cost?.processBytes ?? 0;
/** Memory for steps of about so many samples, of which a run trusts its prediction four fifths. */
const memoryFor = async (batchSize: number): Promise<number> =>
  Math.round((1.02 * (await bytesWith(batchSize))) / 0.8);
const argumentsIn = (out: string): { batchSize: number; accumulate: number } & Record<string, unknown> =>
  JSON.parse(readFileSync(join(out, "args.json"), "utf8"));
const valuesOf = (weights: Weights): number[] =>
  [...weights.values()].flatMap((layer) => layer.flatMap(({ data: values }) => [...values].map(Number)));

describe("a run with little memory", () => {
  test("takes steps that fit, accumulated to the same updates, and ends with the same weights", async () => {
    const whole = await finetune(asked);
    const memory = await memoryFor(8);
    const out = join(folder, "fitted");
    const notes: string[] = [];
    const onProgress: FinetuneOptions["onProgress"] = (event) => {
      if (event.kind === "note") notes.push(event.message);
    };
    const fitted = await finetune({ ...asked, memory, out, onProgress });
    const { batchSize, accumulate, ...args } = argumentsIn(out);
    expect(args["memory"]).toBe(memory);
    expect(batchSize).toBeLessThan(32);
    expect(batchSize * accumulate).toBe(32);
    const line = `memory    ${batchSize} samples a step, ${accumulate} steps an update of 32: `;
    expect(notes.filter((note) => note.startsWith(line))).toHaveLength(1);
    const [own, other] = [fitted, whole].map(({ checkpoint }) => valuesOf(checkpoint.weights));
    expect(distance(own ?? [], other ?? [])).toBeLessThan(2e-5);
  });

  test("goes on with the steps that it began with, whatever the memory is by then", async () => {
    const out = join(folder, "stopped");
    const stopping = new AbortController();
    const stop = { name: "stop", epochEnd: () => stopping.abort(new Error("stopped")) };
    const stopped = finetune({
      ...{ ...asked, out, memory: await memoryFor(8) },
      ...{ signal: stopping.signal, callbacks: [stop] },
    });
    await expect(stopped).rejects.toThrow("stopped");
    const { batchSize, accumulate } = argumentsIn(out);
    const undisturbed = await finetune({ ...asked, batchSize, accumulate });
    const held = new Float32Array(3e7).fill(1);
    const resumed = await finetune({ resume: out, model, data, callbacks: [{ name: "stop" }] });
    expect(held).toHaveLength(3e7);
    expect(resumed.checkpoint.weights).toEqual(undisturbed.checkpoint.weights);
  });

  test("is warned of each layer and option that accumulation does not leave the same", async () => {
    const { warnings } = await prepared({
      ...{ memory: await memoryFor(4), bnMode: "train", ema: 0.9 },
      data: arrayDataset(
        float32Tensor(pixels.subarray(0, 30 * side * side), [30, side, side, 1]),
        float32Tensor(labels.subarray(0, 30), [30]),
      ),
      batchSize: 20,
    });
    expect(warnings.join("\n")).toMatch(
      /^memory: norm: computed over the \d+ samples of a step and not over the 20/m,
    );
    expect(warnings.join("\n")).toMatch(/^memory: the last 10 of 30 samples of an epoch are joined/m);
    expect(warnings.join("\n")).toMatch(/^ema: averages count steps, of which an update now has \d+/m);
  });

  test("that not even one sample a step fits into is refused, with what is enough", async () => {
    const refusal = await prepared({ memory: 1e6 }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(UsageError);
    expect(refusal).toMatchObject({ code: "memory-too-small", option: "memory" });
    const [, count, unit] = /^memory: expected ([\d.]+) (MB|GB) or more/.exec(
      String((refusal as Error).message),
    )!;
    const enough = Number(count) * (unit === "GB" ? 1e9 : 1e6);
    const { settings } = await prepared({ memory: Math.round(1.2 * enough) });
    expect(settings.batchSize * settings.accumulate).toBe(32);
  });

  test("extracts with fewer rows together, by the memory and the model alone", async () => {
    const engine = await ensureEngine();
    const run = await prepared({ freeze: freezeAllButHead() });
    const rows = [1e12, 2e8, 5e7, 1e6].map((memory) => extractionBatchWithin(memory, engine, run));
    expect(rows[0]).toBe(extractionBatchWithin(null, engine, run));
    expect(rows).toEqual([...rows].sort((a, b) => b - a));
    expect(rows.at(-1)).toBe(1);
  });

  test("predicts and evaluates as one with plenty, fewer samples together", async () => {
    const memory = Math.round((process.memoryUsage.rss() + 100e6) / 0.8);
    const [whole] = await predict(model, inputs);
    const [little] = await predict(model, inputs, { memory });
    expect(distance(little!.data as Float32Array, whole!.data as Float32Array)).toBeLessThan(1e-6);
    const more = { loss: "sparse_categorical_crossentropy" };
    const judged = await evaluate(model, data, { ...more, memory });
    expect(judged.loss).toBeCloseTo((await evaluate(model, data, more)).loss, 5);
    await expect(predict(model, inputs, { memory: 1e6 })).rejects.toThrow(
      /^memory: expected .* or more, which the model needs for one sample, got 1\.0 MB\. Give it as much\.$/,
    );
  });
});

describe("the step that fits", () => {
  const question = (more: Partial<MemoryQuestion>): MemoryQuestion => ({
    asked: { batchSize: 32, accumulate: 1 },
    memory: 1000,
    trainSamples: 1000,
    startsFresh: true,
    rowsWithin: () => 1,
    bytesOf: async ({ batchSize }) => 100 + 50 * batchSize,
    headBytes: async () => null,
    ...more,
  });

  test("is the largest that divides the update", async () => {
    expect(await fittedStep(question({}))).toEqual({ batchSize: 8, accumulate: 4 });
    expect(await fittedStep(question({ asked: { batchSize: 30, accumulate: 2 } }))).toEqual({
      batchSize: 10,
      accumulate: 6,
    });
  });

  test("is the one that was asked where that fits", async () => {
    const asIs = { batchSize: 13, accumulate: 3 };
    expect(await fittedStep(question({ asked: asIs }))).toEqual(asIs);
  });

  test("makes an update of all samples where there are fewer than asked", async () => {
    expect(await fittedStep(question({ trainSamples: 20 }))).toEqual({ batchSize: 10, accumulate: 2 });
  });

  test("is not made for an optimizer that goes on from a file", async () => {
    await expect(fittedStep(question({ startsFresh: false }))).rejects.toThrow(/optimizer: "file" goes on/);
  });

  test("is refused with the figure of the head alone where that takes less", async () => {
    const little = question({ memory: 100, headBytes: async () => 40 });
    await expect(fittedStep(little)).rejects.toThrow(/train the head alone, for which 53 B are enough/);
  });

  test.each([1, 500, 1300, 1700])(
    "of a refusal of %i bytes fits into what it asks for, where an extraction runs larger batches in more memory",
    async (memory) => {
      const larger = question({
        rowsWithin: (size) => (size < 1400 ? 1 : size < 2200 ? 8 : 16),
        bytesOf: async ({ batchSize }, rows) => 1000 + 50 * batchSize + 50 * rows,
      });
      const refusal = await fittedStep({ ...larger, memory }).catch((error: Error) => error.message);
      const [, size = 0, unit] = /expected ([\d.]+) (B|kB) or more/.exec(String(refusal)) ?? [];
      const asked = Number(size) * (unit === "kB" ? 1000 : 1);
      expect(asked).toBeGreaterThan(memory);
      expect((await fittedStep({ ...larger, memory: asked })).batchSize).toBeGreaterThan(0);
    },
  );
});
