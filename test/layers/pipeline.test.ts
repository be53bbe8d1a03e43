import { beforeAll, expect, test } from "vitest";
import { ensureEngine, useEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import type { KernelResult } from "../../src/layers/kernel.ts";
import { kernelOf } from "../../src/layers/registry.ts";
import { layersOf } from "../../src/topology/edit-config.ts";
import { specOf } from "../../src/topology/layer-specs.ts";

beforeAll(async () => {
  if (!process.env["KERAS_FINETUNE_ENGINE"]) useEngine("wasm");
  await ensureEngine();
});

const config = {
  name: "line",
  layers: [
    { class_name: "RandomBrightness", config: { factor: [-0.5, 0.5], value_range: [-1000, 1000] } },
    { class_name: "RandomBrightness", config: { factor: [-0.5, 0.5], value_range: [-1000, 1000] } },
  ],
};

function run(training: boolean, seed: number): { values: number[]; drawn: number } {
  let drawn = 0;
  const { outputs } = kernelOf("Pipeline")!({
    inputs: [tf.zeros([8, 2, 2, 1])],
    weights: {},
    config,
    args: [],
    kwargs: {},
    masks: [undefined],
    context: {
      training,
      statistics: "stored",
      random: { nextSeed: () => seed + drawn++ },
      keras: 3,
    },
  }) as KernelResult;
  return { values: [...outputs[0]!.dataSync()], drawn };
}

test("each layer of a Pipeline draws its own numbers in training, the same from the same seed, and none at inference", () => {
  tf.tidy(() => {
    const first = run(true, 3);
    expect(first.drawn).toBe(2);
    expect(run(true, 3)).toEqual(first);
    expect(run(true, 30).values).not.toEqual(first.values);
    expect(run(false, 3)).toEqual({ values: new Array(32).fill(0), drawn: 0 });
  });
});

test("a Pipeline is random if one of its layers is random, and refused if one of its layers is unknown", () => {
  const spec = specOf("Pipeline")!;
  const of = (...names: string[]): { layers: { class_name: string; config: object }[] } => ({
    layers: names.map((class_name) => ({ class_name, config: {} })),
  });
  expect(spec.randomWith!(of("Rescaling", "RandomFlip") as never)).toBe(true);
  expect(spec.randomWith!(of("Rescaling", "Flatten") as never)).toBe(false);
  expect(spec.refusal!(of("Rescaling", "Lambda") as never)?.reason).toMatch(/Lambda/);
});

test("editing a config treats a Pipeline as one layer, not as a model with layers", () => {
  expect(layersOf({ class_name: "Pipeline", config })).toBeUndefined();
});
