import { beforeAll, describe, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import type { Callback, FinetuneOptions, FinetuneResult } from "../../src/index.ts";
import { arrayDataset, finetune, readCheckpoint } from "../../src/index.ts";
import { randomGenerator } from "../../src/random.ts";
import { float32Tensor } from "../../src/tensor.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const model = "fixtures/cli/small_resnet.keras";
const [height, width, classes] = [32, 32, 4];

function samples(
  count: number,
  seed: number,
): [ReturnType<typeof float32Tensor>, ReturnType<typeof float32Tensor>] {
  const random = randomGenerator(seed);
  const labels = Float32Array.from({ length: count }, (_, row) => row % classes);
  const pixels = Float32Array.from(
    { length: count * height * width * 3 },
    (_, index) => random.nextFloat() + labels[Math.floor(index / (height * width * 3))]! / 2,
  );
  return [float32Tensor(pixels, [count, height, width, 3]), float32Tensor(labels, [count])];
}

async function tune(options: Partial<FinetuneOptions>): Promise<FinetuneResult> {
  const [inputs, targets] = samples(16, 1);
  const [valInputs, valTargets] = samples(8, 2);
  const data = arrayDataset(inputs, targets, { validation: { inputs: valInputs, targets: valTargets } });
  return finetune({ model, data, freeze: [], epochs: 2, batchSize: 8, ...options });
}

describe("a run", () => {
  test("decays the rate of a stage by how many stages come after it", async () => {
    const still = { class_name: "SGD", config: { learning_rate: 0.1 } };
    const [plain, decayed] = [
      await tune({ optimizer: still, epochs: 1, batchSize: 16 }),
      await tune({ optimizer: still, epochs: 1, batchSize: 16, layerDecay: 0.5 }),
    ];
    const before = await readCheckpoint(model);
    const stages = [...new Set(plain.plan.layers.flatMap(({ stage }) => stage ?? []))];
    const ratios = plain.plan.layers.flatMap(({ path, stage, trainable }) => {
      const kernel = before.weights.get(path)?.find(({ name }) => name === "kernel");
      if (!kernel || !trainable || stage === null) return [];
      const moved = [plain, decayed].map(({ checkpoint }) => {
        const after = checkpoint.weights.get(path)!.find(({ name }) => name === "kernel")!;
        return Math.hypot(
          ...Array.from(after.data as Float32Array, (value, index) => value - Number(kernel.data[index])),
        );
      });
      return [[stage, moved[1]! / moved[0]!] as const];
    });
    expect(new Set(ratios.map(([stage]) => stage)).size).toBeGreaterThan(2);
    for (const [stage, ratio] of ratios) {
      expect(ratio, stage).toBeCloseTo(0.5 ** (stages.length - 1 - stages.indexOf(stage)), 3);
    }
  });

  test("is best by the monitored figure, in its own direction", async () => {
    const { history, bestEpoch } = await tune({ monitor: "val_accuracy", epochs: 6, learningRate: 0.03 });
    const values = history.map((epoch) => epoch.val_accuracy!);
    expect(bestEpoch).toBe(values.indexOf(Math.max(...values)) + 1);
  });

  test("ends where the next epoch would pass its time, after one at least", async () => {
    const slow: Callback = {
      name: "slow",
      stepEnd: () => new Promise((resolve) => setTimeout(resolve, 30)),
    };
    const { history } = await tune({ maxTime: "0.001s", epochs: 9, callbacks: [slow] });
    expect(history).toHaveLength(1);
    const { history: longer } = await tune({ maxTime: "1h", epochs: 2 });
    expect(longer).toHaveLength(2);
  });
});

describe("a run is refused before it trains", () => {
  const refusals: readonly (readonly [string, Partial<FinetuneOptions>, string])[] = [
    [
      "with a schedule beside one of the optimizer",
      {
        schedule: "cosine",
        optimizer: {
          class_name: "SGD",
          config: {
            learning_rate: {
              class_name: "CosineDecay",
              config: { initial_learning_rate: 1, decay_steps: 2 },
            },
          },
        },
      },
      "schedule: expected an optimizer whose rate is a number, got SGD with a schedule of its own",
    ],
    [
      "with a momentum that its optimizer has not",
      { momentum: 0.9 },
      "momentum: expected an optimizer that has one",
    ],
    ["with an unknown schedule", { schedule: "noam" as "cosine" }, "schedule: expected one of constant"],
    ["with a time that is none", { maxTime: "soon" }, "maxTime: expected a time such as 90s, 20m or 1h30m"],
    [
      "with a monitor of no known direction",
      { monitor: "val_beauty" },
      "monitor: expected a loss or a metric",
    ],
  ];
  test.each(refusals)("%s", async (_, options, message) => {
    await expect(tune(options)).rejects.toThrow(message);
  });

  test("with a monitor of validation data that is not there", async () => {
    const [inputs, targets] = samples(16, 1);
    const run = finetune({ model, data: arrayDataset(inputs, targets), freeze: [], monitor: "val_loss" });
    await expect(run).rejects.toThrow("monitor: expected validation data, got none.");
  });
});
