import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Checkpoint, JsonObject, Weights } from "../../src/checkpoint.ts";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import type { Tensor } from "../../src/tensor.ts";
import type { Trainer } from "../../src/training/trainer.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { sampled } from "../sample.ts";
import type { Packed } from "./training-cases.ts";
import { unpack } from "./training-cases.ts";

type Layers = Readonly<Record<string, readonly (Packed & { readonly name: string })[]>>;

interface Recorded {
  readonly models: Readonly<
    Record<string, { config: JsonObject; weights: Layers; inputs: Packed; targets: Packed }>
  >;
  readonly cases: readonly {
    readonly model: string;
    readonly optimizer: JsonObject;
    readonly excluded: readonly string[] | null;
    readonly losses: readonly number[];
    readonly weights: Layers;
    readonly variables: readonly (Packed & { readonly name: string })[];
  }[];
}

type Case = Recorded["cases"][number];

const file = new URL("../../fixtures/optimizers/steps.json.gz", import.meta.url);
const { models, cases } = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Recorded;
let tensors = 0;

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
  tensors = tf.memory().numTensors;
});
afterAll(() => {
  expect(tf.memory().numTensors).toBe(tensors);
});

function checkpointOf(name: string): Checkpoint {
  const { config, weights } = models[name]!;
  return {
    format: "keras",
    kerasVersion: "3.15.1",
    modelConfig: config,
    weights: unpacked(weights),
    notes: {},
  };
}

function unpacked(layers: Layers): Weights {
  return new Map(
    Object.entries(layers).map(([path, layer]) => [
      path,
      layer.map((weight) => ({ ...unpack(weight), name: weight.name })),
    ]),
  );
}

/** What a config says beyond the defaults of its class, short enough for a title. */
function title({ model, optimizer, excluded }: Case): string {
  const config = JSON.stringify(optimizer["config"], (key, value) =>
    value === null || value === false || ["name", "module", "registered_name"].includes(key)
      ? undefined
      : value,
  );
  return `${model}: ${optimizer["class_name"]} ${config}${excluded ? ` without ${excluded}` : ""}`;
}

function trainerOf({ model, optimizer, excluded }: Case): Promise<Trainer> {
  const own = optimizer["config"] as JsonObject;
  const isWrapped = optimizer["class_name"] === "LossScaleOptimizer";
  const config = isWrapped ? own : { ...own, exclude_from_weight_decay: excluded };
  return createTrainer(checkpointOf(model), {
    freeze: [],
    bnMode: "follow",
    optimizer: { ...optimizer, config },
    loss: "categorical_crossentropy",
  });
}

async function train(trainer: Trainer, { model }: Case, steps: number): Promise<number[]> {
  const [inputs, targets] = [unpack(models[model]!.inputs), unpack(models[model]!.targets)];
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    losses.push((await trainer.trainOnBatch(inputs, targets)).loss);
  }
  return losses;
}

/** Each model, class of optimizer, schedule and argument that is not its default is in one of the sample. */
const titled = sampled(
  cases.map((recorded) => [title(recorded), recorded] as const),
  ([text, { model, optimizer }]) => [
    model,
    String(optimizer["class_name"]),
    ...[...text.matchAll(/"class_name":"\w+"|"\w+":(?=true)/g)].map(String),
  ],
);

describe("thirty full-batch steps end where Keras's end", () => {
  test.each(titled)("%s", async (_, recorded) => {
    const trainer = await trainerOf(recorded);
    try {
      const losses = await train(trainer, recorded, recorded.losses.length);
      for (const [step, expected] of recorded.losses.entries()) {
        const apart = Math.abs((losses[step] ?? Number.NaN) - expected);
        expect(apart, `loss of step ${step + 1}`).toBeLessThan(2e-5 * Math.max(1, expected));
      }
      expect(farthest(trainer.state().weights, unpacked(recorded.weights))).toBeLessThan(2e-5);
      const averages = averagesOf(recorded);
      const kept = trainer.checkpoint().weights;
      expect(farthest(kept, averages ?? unpacked(recorded.weights))).toBeLessThan(2e-5);
    } finally {
      trainer.dispose();
    }
  });
});

describe("a trainer that takes over another's state goes on with the same bits", () => {
  test.each(titled)("%s", async (_, recorded) => {
    const [straight, first, second] = [
      await trainerOf(recorded),
      await trainerOf(recorded),
      await trainerOf(recorded),
    ];
    try {
      const losses = await train(straight, recorded, 13);
      await train(first, recorded, 7);
      second.restore(structuredClone(first.state()));
      expect(await train(second, recorded, 6)).toEqual(losses.slice(7));
      expect(second.state()).toEqual(straight.state());
    } finally {
      for (const trainer of [straight, first, second]) trainer.dispose();
    }
  });
});

/** What Keras's `fit` leaves in the model where the optimizer averages its weights. */
function averagesOf({ weights, variables }: Case): Weights | null {
  const averages = variables.filter(({ name }) => name.endsWith("_average"));
  if (averages.length === 0) return null;
  const named = Object.entries(weights).flatMap(([path, layer]) => layer.map(({ name }) => ({ path, name })));
  expect(averages).toHaveLength(named.length);
  const all = named.map(({ path, name }, index) => ({ path, name, ...unpack(averages[index]!) }));
  return new Map(Object.keys(weights).map((path) => [path, all.filter((weight) => weight.path === path)]));
}

/** The largest difference of a weight, by the larger of 1 and its largest value. */
function farthest(some: Weights, others: Weights): number {
  const apart = [...others].flatMap(([path, layer]) =>
    layer.map((other) => {
      const own = some.get(path)!.find(({ name }) => name === other.name) as Tensor;
      const [values, expected] = [own.data as Float32Array, other.data as Float32Array];
      const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      return expected.reduce((most, value, at) => Math.max(most, Math.abs(value - values[at]!)), 0) / largest;
    }),
  );
  return Math.max(...apart);
}
