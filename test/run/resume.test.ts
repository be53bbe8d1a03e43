import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { FinetuneOptions } from "../../src/index.ts";
import { arrayDataset, finetune, freezeAllButHead, freezeUntil } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { float32Tensor } from "../../src/tensor.ts";

const folder = mkdtempSync(join(tmpdir(), "resume-"));
beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(folder, { recursive: true }));

const [size, classes] = [32, 4];
function arrays(count: number, seed: number): ReturnType<typeof arrayDataset> {
  const random = randomGenerator(seed);
  const labels = Float32Array.from({ length: count }, (_, row) => row % classes);
  const pixels = Float32Array.from(
    { length: count * size * size * 3 },
    (_, index) => random.nextFloat() + labels[Math.floor(index / (size * size * 3))]! / 2,
  );
  return arrayDataset(float32Tensor(pixels, [count, size, size, 3]), float32Tensor(labels, [count]));
}
const held = arrays(8, 2);
const data = { ...arrays(12, 1), validation: { inputs: held.inputs, targets: held.targets } };
const model = "fixtures/cli/small_resnet.keras";
const asked: Partial<FinetuneOptions> = {
  ...{ batchSize: 5, cache: false, report: false, accumulate: 2, ema: 0.7, schedule: "cosine" },
  phases: [
    { freeze: freezeAllButHead(), epochs: 2, learningRate: 0.02 },
    { freeze: freezeUntil("conv3"), epochs: 2, learningRate: 0.003 },
  ],
};

const timeless = (result: Awaited<ReturnType<typeof finetune>>) => ({
  weights: result.checkpoint.weights,
  best: result.bestEpoch,
  proofs: result.phases.map(({ from, to, proof }) => [from, to, proof]),
  history: result.history.map((epoch) => ({ ...epoch, seconds: 0 })),
});

test("a run goes on from any state to the same bits, through phases", async () => {
  const out = join(folder, "straight");
  const copies: string[] = [];
  const keep = {
    name: "copies",
    begin: () => {},
    epochEnd: ({ epoch }: { epoch: number }) => {
      if (epoch === 1) return;
      const copy = join(folder, `after-${epoch - 1}`);
      cpSync(join(out, "state"), join(copy, "state"), { recursive: true });
      copies.push(copy);
    },
  };
  const straight = await finetune({ model, data, out, ...asked, callbacks: [keep] });
  expect(copies).toHaveLength(3);
  expect(existsSync(join(out, "state", "training.state"))).toBe(true);
  for (const copy of [...copies, out]) {
    const resumed = await finetune({
      resume: copy,
      data,
      callbacks: [{ ...keep, epochEnd: () => undefined }],
    });
    expect(timeless(resumed)).toEqual(timeless(straight));
    expect(readdirSync(copy)).toContain("model.keras");
  }
});

test("more epochs go on from a finished run, whose schedule keeps its last rate", async () => {
  const out = join(folder, "longer");
  const first = await finetune({ model, data, out, ...asked });
  const longer = await finetune({ resume: out, data, epochs: 6 });
  expect(longer.history.slice(0, 4)).toEqual(first.history);
  expect(longer.history.map(({ phase }) => phase)).toEqual([1, 1, 2, 2, 2, 2]);
  const last = first.history.at(-1)!.lr;
  expect(longer.history.slice(4).map(({ lr }) => lr)).toEqual([last, last]);
});

test("a run does not go on with other data, nor from a folder without a state", async () => {
  const out = join(folder, "other");
  await finetune({ model, data, out, ...asked });
  const other = { ...arrays(12, 9), validation: data.validation };
  await expect(finetune({ resume: out, data: other })).rejects.toThrow(
    "data: expected what the run began with",
  );
  await expect(finetune({ resume: folder })).rejects.toThrow("resume: expected a run folder with a state");
});

test("no state is saved with saveEvery 0", async () => {
  const out = join(folder, "none");
  await finetune({ model, data, out, ...asked, saveEvery: 0 });
  expect(readdirSync(out)).not.toContain("state");
});
