import { beforeAll, describe, expect, it, vi } from "vitest";
import { publishedFile } from "../../src/architectures/architecture.ts";
import { architectureOf } from "../../src/architectures/known.ts";
import type { Checkpoint } from "../../src/checkpoint.ts";
import { ensureEngine } from "../../src/engine/backend.ts";
import { fusedConv2d, fusedDense } from "../../src/engine/fused-operations.ts";
import { record } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";
import { fusesActivation, runFusedSum } from "../../src/engine/webgpu/fused.ts";
import type { WebgpuBackend } from "../../src/engine/webgpu/gpu-types.ts";
import { createPredictor, layerGraph } from "../../src/index.ts";
import { activationNamed } from "../../src/layers/activation-functions.ts";
import { weightSpecsOf } from "../../src/topology/weights-of.ts";
import { missing } from "./missing.ts";

const normal = (shape: number[], seed: number): tf.Tensor => tf.randomNormal(shape, 0, 1, "float32", seed);
const window = { strides: [1, 1], padding: "same", dilation: [1, 1] } as const;

interface Case {
  readonly x: number[];
  readonly filter: number[];
  readonly channels: number;
  readonly compute: (x: tf.Tensor, filter: tf.Tensor, bias: tf.Tensor, activation: string) => tf.Tensor;
}

const convolution: Case["compute"] = (x, filter, bias, activation) =>
  fusedConv2d(x, filter, bias, { ...window, depthwise: false }, activation);

/** One of each shader of tfjs's: tiles of four values and of one, few outputs, a long inner axis in parts. */
const cases: Readonly<Record<string, Case>> = {
  convolution: { x: [1, 6, 6, 4], filter: [3, 3, 4, 8], channels: 8, compute: convolution },
  "convolution of odd channels": {
    x: [1, 20, 20, 3],
    filter: [3, 3, 3, 5],
    channels: 5,
    compute: convolution,
  },
  depthwise: {
    ...{ x: [1, 6, 6, 4], filter: [3, 3, 4, 1], channels: 4 },
    compute: (x, filter, bias, activation) =>
      fusedConv2d(x, filter, bias, { ...window, depthwise: true }, activation),
  },
  dense: { x: [2, 3], filter: [3, 5], channels: 5, compute: fusedDense },
  "dense of 2048 inputs": { x: [4, 2048], filter: [2048, 64], channels: 64, compute: fusedDense },
};

/** Every activation in one shader, and the longest of them in all. */
const pairs = [
  ...["relu", "relu6", "sigmoid", "linear", "hard_silu", "gelu"].map(
    (activation) => ["convolution", activation] as const,
  ),
  ...Object.keys(cases).map((name) => [name, "silu"] as const),
];

describe.skipIf(missing !== undefined)("a shader with bias and activation", () => {
  beforeAll(async () => {
    await ensureEngine();
    tf.env().set("WEBGPU_CPU_FORWARD", false);
  });

  it.each(pairs)("of a %s computes %s, and NaN from NaN", async (name, activation) => {
    const { x: shape, filter, channels, compute } = cases[name] as Case;
    const [x, weights, bias] = [normal(shape, 1), normal(filter, 2), normal([channels], 3)];
    const fused = tf.tidy(() => compute(x, weights, bias, activation));
    const separate = tf.tidy(() =>
      activationNamed(activation, 3)(tf.add(compute(x, weights, tf.zerosLike(bias), "linear"), bias)),
    );
    const [own, expected] = [await fused.data(), await separate.data()];
    expect(fused.shape).toEqual(separate.shape);
    expect(
      Math.max(...own.map((value, index) => Math.abs(value - (expected[index] ?? Number.NaN)))),
    ).toBeLessThan(1e-5 * Math.max(...expected.map(Math.abs)));
    const lost = tf.tidy(() => compute(tf.fill(shape, Number.NaN), weights, bias, activation));
    expect((await lost.data()).every(Number.isNaN)).toBe(true);
    tf.dispose([x, weights, bias, fused, separate, lost]);
  });

  it.each([
    ["in fours", [2, 3, 3, 8], [2, 3, 3, 8]],
    ["one by one", [2, 3, 5], [2, 3, 5]],
    ["of a vector", [2, 3, 5], [5]],
    ["of a scalar in fours", [2, 8], [2, 1]],
  ])(
    "of a sum %s applies the activation in one dispatch, and gives NaN from NaN",
    async (_, first, second) => {
      const [a, b] = [normal(first, 1), normal(second, 2)];
      const never = (): tf.Tensor => {
        throw new Error("no shader");
      };
      const backend = tf.backend() as WebgpuBackend;
      const dispatches = vi.spyOn(backend, "runWebGPUProgram");
      const fused = runFusedSum(a, b, "relu6", never);
      expect(dispatches).toHaveBeenCalledTimes(1);
      dispatches.mockRestore();
      const separate = tf.tidy(() => tf.relu6(tf.add(a, b)));
      expect([...(await fused.data())]).toEqual([...(await separate.data())]);
      const plain = tf.add(a, b);
      expect((await plain.data()).some((value) => value < 0)).toBe(true);
      const lost = tf.tidy(() => runFusedSum(tf.fill(first, Number.NaN), b, "relu", never));
      expect((await lost.data()).every(Number.isNaN)).toBe(true);
      tf.dispose([a, b, fused, separate, plain, lost]);
    },
  );

  it("of a sum of few values, which the backend adds on the CPU, is not left without its activation", async () => {
    tf.env().set("WEBGPU_CPU_FORWARD", true);
    const [a, b] = [tf.tensor1d([-3, 2]), tf.tensor1d([1, 1])];
    const sum = runFusedSum(a, b, "relu", tf.relu);
    expect([...(await sum.data())]).toEqual([0, 3]);
    tf.env().set("WEBGPU_CPU_FORWARD", false);
    tf.dispose([a, b, sum]);
  });

  it("runs where no gradient is recorded", () => {
    const x = tf.ones([1]);
    expect(fusesActivation("swish")).toBe(true);
    expect(fusesActivation("softmax")).toBe(false);
    record(() => {
      expect(fusesActivation("swish")).toBe(false);
      return tf.mul(x, 2);
    }).result.dispose();
    x.dispose();
  });

  it("computes MobileNetV2 in one dispatch a convolution, with no other for normalizations and activations", async () => {
    const modelConfig = architectureOf("mobilenetv2")?.build(
      publishedFile(null),
    ) as Checkpoint["modelConfig"];
    const bare = {
      modelConfig,
      weights: new Map(),
      notes: {},
      format: "keras",
      kerasVersion: "3.15.1",
    } as const;
    const graph = layerGraph(bare);
    const valuesOf = (shape: readonly number[]): Float32Array =>
      new Float32Array(shape.reduce((all, size) => all * size, 1)).fill(0.5);
    const weights = new Map(
      [...weightSpecsOf(graph)].map(([path, specs]) => [
        path,
        specs.map(({ name, shape }) => ({ name, dtype: "float32" as const, shape, data: valuesOf(shape) })),
      ]),
    );
    const predictor = await createPredictor({ ...bare, weights }, { batchSize: 1 });
    const backend = tf.backend() as WebgpuBackend;
    const run = backend.runWebGPUProgram;
    let dispatches = 0;
    // Counts without computing.
    backend.runWebGPUProgram = ({ outputShape }, _inputs, dtype) => {
      dispatches++;
      return backend.makeTensorInfo(outputShape, dtype, valuesOf(outputShape) as Float32Array);
    };
    try {
      const shape = [1, 224, 224, 3];
      await predictor.predict({ dtype: "float32", shape, data: valuesOf(shape) });
    } finally {
      backend.runWebGPUProgram = run;
      predictor.dispose();
    }
    const counted = ["Conv2D", "DepthwiseConv2D", "Add", "ZeroPadding2D"];
    expect(dispatches).toBe(graph.layers.filter(({ className }) => counted.includes(className)).length);
  });
});
