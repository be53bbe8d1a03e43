/** What real Keras answered to models with a compile config, data and weights: fixtures/make/situations.py. */
import { readdirSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, JsonObject, Weight } from "../../src/checkpoint.ts";
import { arrayDataset } from "../../src/data/arrays.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { evaluate } from "../../src/inference/evaluate.ts";
import { predict } from "../../src/inference/predict.ts";
import type { MetricValue } from "../../src/task/metrics/metric.ts";
import type { Tensor } from "../../src/tensor.ts";
import { toFloat32 } from "../../src/tensor.ts";
import { createTrainer } from "../../src/training/trainer.ts";

interface Packed {
  readonly name?: string;
  readonly shape: number[];
  readonly dtype: "float32" | "int32";
  readonly base64: string;
}
type PackedAll = Packed | readonly Packed[] | Readonly<Record<string, Packed>>;

interface Situation {
  readonly name: string;
  readonly keras: string;
  readonly modelConfig: JsonObject;
  readonly trainingConfig: JsonObject;
  /** The loss with what its file loses of it. */
  readonly asked: JsonObject | null;
  readonly batchSize: number;
  readonly weights: Record<string, (Packed & { name: string })[]>;
  readonly inputs: PackedAll;
  readonly targets: PackedAll;
  readonly sampleWeights: PackedAll | null;
  readonly classWeight: Record<string, number> | null;
  readonly evaluated: Record<string, MetricValue>;
  readonly predictions: readonly Packed[];
  readonly steps: readonly Record<string, MetricValue>[];
  readonly after: Situation["weights"];
}

const folder = new URL("../../fixtures/situations/", import.meta.url);
const situations = readdirSync(folder).flatMap(
  (file) => JSON.parse(gunzipSync(readFileSync(new URL(file, folder))).toString()) as Situation[],
);

function unpack({ shape, dtype, base64 }: Packed): Tensor {
  const bytes = Uint8Array.from(Buffer.from(base64, "base64")).buffer;
  return { dtype, shape, data: dtype === "int32" ? new Int32Array(bytes) : new Float32Array(bytes) };
}

function unpackAll(packed: PackedAll): Tensor | Tensor[] | Record<string, Tensor> {
  if (Array.isArray(packed)) return packed.map(unpack);
  if ("base64" in packed) return unpack(packed as Packed);
  return Object.fromEntries(Object.entries(packed).map(([name, each]) => [name, unpack(each)]));
}

function checkpointOf({ keras, modelConfig, trainingConfig, weights }: Situation): Checkpoint {
  return {
    format: keras.startsWith("3") ? "keras" : "h5",
    kerasVersion: keras,
    modelConfig,
    trainingConfig,
    weights: new Map(
      Object.entries(weights).map(([path, layer]) => [
        path,
        layer.map((packed): Weight => ({ ...unpack(packed), name: packed.name })),
      ]),
    ),
    notes: {},
  };
}

/** Figures are near by their size where that is over 1; metrics that the file does not name are beside Keras's. */
function expectFigures(got: Readonly<Record<string, MetricValue>>, expected: Situation["evaluated"]): void {
  for (const [name, value] of Object.entries(expected)) {
    const [wanted, found] = [[value].flat(), [got[name] ?? []].flat()];
    expect(found, name).toHaveLength(wanted.length);
    for (const [index, each] of wanted.entries()) {
      const apart = Math.abs(each - found[index]!) / Math.max(1, Math.abs(each));
      expect(apart, `${name}: ${found[index]} for ${each}`).toBeLessThan(2e-5);
    }
  }
}

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

describe.each(situations)("Keras $keras: $name", (situation) => {
  const checkpoint = checkpointOf(situation);
  const asked = situation.asked === null ? {} : { loss: situation.asked };
  const inputs = unpackAll(situation.inputs);
  const targets = unpackAll(situation.targets);
  const sampleWeights = situation.sampleWeights === null ? undefined : unpackAll(situation.sampleWeights);

  test("evaluate gives every figure, by the file's compile config", async () => {
    const dataset = arrayDataset(inputs, targets, { ...(sampleWeights && { sampleWeights }) });
    const { loss, metrics } = await evaluate(checkpoint, dataset, {
      ...asked,
      batchSize: situation.batchSize,
    });
    expectFigures({ loss, ...metrics }, situation.evaluated);
  });

  test("predictions are Keras's", async () => {
    const outputs = await predict(checkpoint, inputs);
    for (const [index, packed] of situation.predictions.entries()) {
      const wanted = unpack(packed);
      expect(outputs[index]!.shape).toEqual(wanted.shape);
      expect(farthest(outputs[index]!, wanted)).toBeLessThan(2e-5);
    }
  });

  test("three steps give Keras's figures and weights", async () => {
    const { optimizer, optimizer_config: config } = situation.trainingConfig;
    const trainer = await createTrainer(checkpoint, {
      freeze: [],
      bnMode: "follow",
      ...asked,
      optimizer: (optimizer ?? config) as JsonObject,
      ...(situation.classWeight && { classWeight: situation.classWeight }),
    });
    try {
      for (const step of situation.steps) {
        expectFigures(
          await trainer.trainOnBatch(inputs, targets, { ...(sampleWeights && { sampleWeights }) }),
          step,
        );
      }
      const { weights } = trainer.checkpoint();
      for (const [path, layer] of Object.entries(situation.after)) {
        for (const packed of layer) {
          const found = weights.get(path)!.find(({ name }) => name === packed.name)!;
          expect(farthest(found, unpack(packed)), `${path}/${packed.name}`).toBeLessThan(2e-5);
        }
      }
    } finally {
      trainer.dispose();
    }
  });
});

function farthest(found: Tensor, wanted: Tensor): number {
  const values = toFloat32(wanted);
  const own = toFloat32(found);
  const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
  return values.reduce((most, value, index) => Math.max(most, Math.abs(value - own[index]!) / scale), 0);
}
