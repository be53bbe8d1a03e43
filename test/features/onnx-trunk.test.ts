import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { arrayDataset } from "../../src/data/arrays.ts";
import { engineInfo, ensureEngine, onnxThreads, useEngine } from "../../src/engine/backend.ts";
import { engineVersion } from "../../src/engine/engine-info.ts";
import { freezeUntil } from "../../src/freeze/policy.ts";
import { extractFeatures } from "../../src/run/extract-features.ts";
import { planFinetune } from "../../src/run/plan-finetune.ts";
import { float32Tensor } from "../../src/tensor.ts";

const home = mkdtempSync(join(tmpdir(), "onnx-home-"));
const { KERAS_FINETUNE_HOME: formerHome } = process.env;

/** A package in place of onnxruntime-node: it multiplies its input by a factor, and counts its calls. */
const stand = `
const state = (globalThis.standIn ??= { factor: 2, calls: 0, models: [] });
exports.Tensor = class { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } };
exports.InferenceSession = {
  create: async (model) => {
    state.models.push(model.length);
    return {
      inputNames: ["input_0"],
      outputNames: ["output_0"],
      run: async ({ input_0: { data, dims } }) => {
        state.calls++;
        return { output_0: { data: data.map((value) => value * state.factor), dims } };
      },
      release: async () => {},
    };
  },
};
`;
interface StandIn {
  factor: number;
  calls: number;
  models: number[];
}
const standIn = (): StandIn => (globalThis as unknown as { standIn: StandIn }).standIn;

beforeAll(async () => {
  const place = join(home, "onnx-a-b", "node_modules", "onnxruntime-node");
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "index.js"), stand);
  writeFileSync(join(home, "onnx.json"), JSON.stringify({ folder: "onnx-a-b", version: "9.9.9" }));
  process.env["KERAS_FINETUNE_HOME"] = home;
  useEngine("wasm");
  await ensureEngine();
});
afterAll(() => {
  if (formerHome === undefined) delete process.env["KERAS_FINETUNE_HOME"];
  else process.env["KERAS_FINETUNE_HOME"] = formerHome;
  rmSync(home, { recursive: true });
});

/** A model whose first layer doubles its input. */
const checkpoint: Checkpoint = {
  format: "keras",
  kerasVersion: "3.15.1",
  modelConfig: {
    class_name: "Sequential",
    config: {
      name: "doubling",
      layers: [
        { class_name: "InputLayer", config: { name: "x", batch_shape: [null, 3], dtype: "float32" } },
        { class_name: "Dense", config: { name: "double", units: 3, use_bias: false } },
        { class_name: "Dense", config: { name: "scores", units: 2 } },
      ],
    },
  },
  weights: new Map([
    ["double", [{ name: "kernel", ...float32Tensor(Float32Array.of(2, 0, 0, 0, 2, 0, 0, 0, 2), [3, 3]) }]],
    [
      "scores",
      [
        { name: "kernel", ...float32Tensor(new Float32Array(6).fill(0.5), [3, 2]) },
        { name: "bias", ...float32Tensor(new Float32Array(2), [2]) },
      ],
    ],
  ]),
  notes: {},
};
const rows = Float32Array.from({ length: 15 }, (_, index) => index - 7);
const data = arrayDataset(float32Tensor(rows, [5, 3]), {
  dtype: "int32",
  shape: [5],
  data: new Int32Array(5),
});

async function features(): Promise<readonly number[]> {
  const plan = planFinetune(checkpoint, { freeze: freezeUntil("scores") });
  const { tensors } = await extractFeatures(checkpoint, plan, data);
  return Array.from(tensors[0]?.data as Float32Array);
}

const doubled = Array.from(rows, (value) => 2 * value);

test("an installed ONNX Runtime is part of the engine's version, which cached features are kept by", () => {
  const engine = engineInfo();
  if (!engine) throw new Error("expected an engine");
  expect(engine.onnx).toBe("9.9.9");
  expect(engineVersion(engine)).toMatch(/ onnxruntime 9\.9\.9$/);
  expect(onnxThreads()).toBe(engine.threads);
});

test("frozen layers run on it", async () => {
  expect(await features()).toEqual(doubled);
  const { calls, models } = standIn();
  // The first call compares it with the engine on two samples.
  expect(calls).toBeGreaterThanOrEqual(2);
  expect(models).toHaveLength(1);
});

test("where its features are others than the engine's, the engine computes them", async () => {
  standIn().factor = 2.001;
  standIn().calls = 0;
  expect(await features()).toEqual(doubled);
  expect(standIn().calls).toBe(1);
});

test("an installation that does not load is an error that says what to do", async () => {
  writeFileSync(join(home, "onnx.json"), JSON.stringify({ folder: "onnx-none", version: "9.9.9" }));
  await expect(features()).rejects.toThrow(
    /onnx-none: ONNX Runtime does not load: .*Install it again \(`finetune setup`, onnx\)/,
  );
});
