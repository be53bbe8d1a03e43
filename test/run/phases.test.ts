import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Weights } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { FinetuneOptions, PhaseOptions, ProgressEvent } from "../../src/index.ts";
import {
  arrayDataset,
  finetune,
  freeze,
  freezeAllButHead,
  freezeUntil,
  imageFolder,
} from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { resolveOptions } from "../../src/run/settings.ts";
import { float32Tensor } from "../../src/tensor.ts";

const cache = mkdtempSync(join(tmpdir(), "phases-"));

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});
afterAll(() => rmSync(cache, { recursive: true }));

const model = "fixtures/cli/small_resnet.keras";
const [size, classes] = [32, 4];

function arrays(count: number): ReturnType<typeof arrayDataset> {
  const random = randomGenerator(count);
  const labels = Float32Array.from({ length: count }, (_, row) => row % classes);
  const pixels = Float32Array.from(
    { length: count * size * size * 3 },
    (_, index) => random.nextFloat() + labels[Math.floor(index / (size * size * 3))]! / 2,
  );
  return arrayDataset(float32Tensor(pixels, [count, size, size, 3]), float32Tensor(labels, [count]));
}

const phases: readonly PhaseOptions[] = [
  { freeze: freezeAllButHead(), epochs: 2, learningRate: 0.02 },
  { freeze: freezeUntil("conv3"), epochs: 1, learningRate: 0.003 },
  { freeze: freezeUntil("conv2"), epochs: 2, learningRate: 0.001 },
];

function farthest(some: Weights, others: Weights): number {
  let most = 0;
  for (const [path, layer] of others) {
    for (const [place, weight] of layer.entries()) {
      const own = some.get(path)![place]!.data as Float32Array;
      (weight.data as Float32Array).forEach((value, index) => {
        most = Math.max(most, Math.abs(value - own[index]!));
      });
    }
  }
  return most;
}

describe("phases", () => {
  test("end where runs that follow one another end, and each proves that its frozen weights stood still", async () => {
    const data = arrays(12);
    const whole = { data, batchSize: 12, cache: false } as const;
    const result = await finetune({ model, phases, ...whole });
    expect(result.history.map(({ epoch, phase, lr }) => [epoch, phase, lr])).toEqual([
      [1, 1, 0.02],
      [2, 1, 0.02],
      [3, 2, 0.003],
      [4, 3, 0.001],
      [5, 3, 0.001],
    ]);
    expect(result.phases.map(({ from, to }) => [from, to])).toEqual([
      [1, 2],
      [3, 3],
      [4, 5],
    ]);
    expect(result.phases.map(({ proof }) => proof.unchanged)).toEqual([true, true, true]);
    expect(result.phases.map(({ plan }) => plan.firstTrainable)).toEqual([
      "predictions",
      "conv3_block1_1_conv",
      "conv2_block1_1_conv",
    ]);
    const counts = result.phases.map(({ proof }) => proof.weights.length);
    expect(counts).toEqual([...counts].sort((a, b) => b - a));
    expect(result.proof.weights.map(({ name }) => name)).toEqual(
      result.phases[2]!.proof.weights.map(({ name }) => name),
    );
    let last = await finetune({ model, ...whole, ...phases[0]! });
    for (const phase of phases.slice(1))
      last = await finetune({ model: last.checkpoint, keepHead: true, ...whole, ...phase });
    expect(farthest(result.checkpoint.weights, last.checkpoint.weights)).toBeLessThan(2e-5);
  });

  test("run every file through the model's frozen part once, and nothing when all is cached", async () => {
    const data = await imageFolder("fixtures/demo/photos");
    const events: Extract<ProgressEvent, { kind: "plan" }>[] = [];
    const options: FinetuneOptions = {
      ...{ model, data, phases, cache, batchSize: 8 },
      onProgress: (event) => event.kind === "plan" && events.push(event),
    };
    const first = await finetune(options);
    expect(first.features.extracted).toBe(data.samples.length);
    const second = await finetune(options);
    expect([second.features.extracted, second.features.cached]).toEqual([0, data.samples.length]);
    expect(farthest(first.checkpoint.weights, second.checkpoint.weights)).toBe(0);
    const uncached = await finetune({ ...options, cache: false });
    expect(uncached.features.extracted).toBe(data.samples.length);
    expect(farthest(first.checkpoint.weights, uncached.checkpoint.weights)).toBe(0);
    const lines = events[0]!.lines.filter((line) => line.startsWith("phase "));
    expect(lines).toHaveLength(3);
    expect(lines[1]).toMatch(
      /^phase 2 {3}until conv3: epochs 3 {2}rate 0.003 {2}from conv3_block1_1_conv on {2}features .*cache/,
    );
  });

  test("a later phase with an earlier cut than all before it changes what a still later one is fed", async () => {
    const back = [phases[2]!, phases[0]!];
    const result = await finetune({ model, data: arrays(12), phases: back, batchSize: 12, cache: false });
    let last = await finetune({ model, data: arrays(12), batchSize: 12, cache: false, ...back[0]! });
    last = await finetune({
      model: last.checkpoint,
      keepHead: true,
      data: arrays(12),
      batchSize: 12,
      cache: false,
      ...back[1]!,
    });
    expect(farthest(result.checkpoint.weights, last.checkpoint.weights)).toBeLessThan(2e-5);
  });

  test("the best epoch is that of all phases", async () => {
    const data = arrays(12);
    const wild = [phases[0]!, { freeze: freeze("none"), epochs: 2, learningRate: 3 }];
    const validation = { inputs: data.inputs, targets: data.targets };
    const result = await finetune({
      model,
      data: { ...data, validation },
      phases: wild,
      batchSize: 12,
      cache: false,
    });
    const losses = result.history.map((epoch) => epoch.val_loss!);
    expect(result.bestEpoch).toBe(losses.indexOf(Math.min(...losses)) + 1);
    expect(result.bestEpoch).toBe(2);
  });

  test("the transfer recipe trains the head, then the cut at a tenth of the rate with a warm-up", async () => {
    const rates: number[] = [];
    const { history, phases: trained } = await finetune({
      ...{ model, data: arrays(12), freeze: freezeUntil("conv3"), recipe: "transfer", epochs: 6 },
      ...{ learningRate: 0.01, batchSize: 2, cache: false },
      callbacks: [{ name: "rates", stepEnd: (_, { lr }) => void rates.push(lr) }],
    });
    expect(history.map(({ phase }) => phase)).toEqual([1, 1, 2, 2, 2, 2]);
    expect(trained.map(({ plan }) => plan.firstTrainable)).toEqual(["predictions", "conv3_block1_1_conv"]);
    expect(new Set(rates.slice(0, 12))).toEqual(new Set([0.01]));
    expect([rates[12], rates[13]]).toEqual([0, Math.fround(Math.fround(0.001) * 0.5)]);
    expect(rates.at(-1)).toBeCloseTo(0.001, 9);
  });
});

test("the gradual recipe frees a stage more in each phase, at rates that decay by stage", async () => {
  const run = await prepareRun(
    resolveOptions({ model, data: arrays(12), recipe: "gradual", freeze: freezeUntil("conv2"), epochs: 9 }),
  );
  expect(run.phases.map(({ plan, epochs, warmup }) => [plan.firstTrainable, epochs, warmup])).toEqual([
    ["predictions", 1, 0],
    ["conv3_block1_1_conv", 1, 0.1],
    ["conv2_block1_1_conv", 7, 0.1],
  ]);
  expect(run.settings.layerDecay).toBeCloseTo(1 / 2.6, 12);
  expect(run.planLines.filter((line) => line.startsWith("phase "))).toEqual([
    expect.stringMatching(
      /^phase 1 {3}all-but-head: epochs 1 {2}rate 0\.001, 0\.38 times for each stage before/,
    ),
    expect.stringMatching(/^phase 2 {3}until conv3: epochs 2 .* from conv3_block1_1_conv on/),
    expect.stringMatching(/^phase 3 {3}until conv2: epochs 3-9 .* from conv2_block1_1_conv on/),
  ]);
  const few = { model, data: arrays(12), recipe: "gradual", epochs: 2, cache: false } as const;
  await expect(finetune({ ...few, freeze: freezeUntil("conv2") })).rejects.toThrow(
    "epochs: expected 3 or more, because the recipe has 3 phases, got 2",
  );
  await expect(finetune({ ...few, freeze: freeze("conv1_conv") })).rejects.toThrow("recipe: expected a cut");
  const { phases: trained, history } = await finetune({ ...few, epochs: 3, freeze: freezeUntil("conv2") });
  expect(history.map(({ phase }) => phase)).toEqual([1, 2, 3]);
  expect(trained.every(({ proof }) => proof.unchanged)).toBe(true);
});

describe("phases are refused", () => {
  const data = arrays(12);
  const refusals: readonly (readonly [string, Partial<FinetuneOptions>, string])[] = [
    [
      "beside a cut of the run",
      { phases, freeze: freezeUntil("conv2") },
      "phases: expected to be given without freeze",
    ],
    [
      "without epochs",
      { phases: [{ freeze: freezeAllButHead() } as PhaseOptions] },
      "phases: expected in phase 1 a whole number of 1 or more for epochs",
    ],
    [
      "with an option that a phase has not",
      { phases: [{ ...phases[0]!, patience: 1 } as PhaseOptions] },
      "not patience",
    ],
    [
      "with fewer epochs than they have",
      { phases, epochs: 2 },
      "epochs: expected the 5 of the phases, or more for the last, got 2",
    ],
    ["by a recipe without a cut", { recipe: "transfer" }, "recipe: expected a cut for its last phase"],
    ["that match no layer", { phases: [{ freeze: freezeUntil("conv9"), epochs: 1 }] }, "conv9"],
  ];
  test.each(refusals)("%s", async (_, options, message) => {
    await expect(finetune({ model, data, cache: false, ...options })).rejects.toThrow(message);
  });
});
