import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { engineInfo, ensureEngine } from "../../src/engine/backend.ts";
import { gradients } from "../../src/engine/tape.ts";
import { tf } from "../../src/engine/tf.ts";
import { onWasm } from "../../src/engine/webgpu/elsewhere.ts";
import { fallbackKernels } from "../../src/engine/webgpu/fallback-kernels.ts";
import { repeatable } from "../../src/engine/webgpu/repeatable.ts";
import { missing } from "./missing.ts";

describe.skipIf(missing !== undefined)("the webgpu engine", () => {
  beforeAll(async () => {
    await ensureEngine();
    tf.env().set("WEBGPU_CPU_FORWARD", false);
  });

  it("names the GPU and its driver", () => {
    expect(engineInfo()).toMatchObject({ name: "webgpu", tfjs: tf.version_core });
    expect(engineInfo()?.adapter).toMatch(/./);
    expect(engineInfo()?.driver).toMatch(/./);
  });

  it("hands a computation the values that it reads in its midst", async () => {
    let runs = 0;
    const before = tf.memory().numTensors;
    const x = tf.tensor1d([3, 1, 2]);
    const doubled = await repeatable(() => {
      runs++;
      return tf.tidy(() => {
        const [largest] = tf.max(tf.mul(x, 2)).dataSync();
        const [smallest] = tf.min(tf.mul(x, 2)).dataSync();
        return tf.sub(tf.mul(x, largest ?? 0), smallest ?? 0);
      });
    });
    expect([...(await doubled.data())]).toEqual([16, 4, 10]);
    expect(runs).toBe(3);
    tf.dispose([x, doubled]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses by name to read at once elsewhere", async () => {
    const x = tf.mul(tf.tensor1d([1, 2]), 2);
    expect(() => x.dataSync()).toThrow(/webgpu engine: values: expected them to be fetched before/);
    await x.data();
    expect([...x.dataSync()]).toEqual([2, 4]);
    x.dispose();
  });

  it("refuses a tensor that no buffer of the GPU can hold", () => {
    const one = tf.ones([1, 1]);
    expect(() => tf.tile(one, [2 ** 16, 2 ** 16])).toThrow(/^memory: expected a tensor of at most/);
    one.dispose();
  });

  it("gives the gradient of a maximum to the place that WebAssembly gives it to, in windows of any sizes", async () => {
    const shape: [number, number, number, number, number] = [1, 4, 5, 6, 2];
    const size = shape.reduce((product, length) => product * length, 1);
    const gradient = (): tf.Tensor =>
      tf.tidy(() => {
        // Few values, so that most windows have their maximum twice.
        const input = tf.tensor(
          Array.from({ length: size }, (_, index) => (index * 7919) % 5),
          [...shape],
        );
        const attributes = { filterSize: [2, 3, 4], strides: [2, 1, 2], pad: "valid", dataFormat: "NDHWC" };
        const output = tf.engine().runKernel("MaxPool3D", { x: input }, attributes) as tf.Tensor;
        const dy = tf.reshape(tf.range(1, output.size + 1, 1), output.shape);
        return tf.engine().runKernel("MaxPool3DGrad", { dy, input, output }, attributes) as tf.Tensor;
      });
    const onGpu = gradient();
    const expected = onWasm(() => {
      const result = gradient();
      return [...result.dataSync()];
    });
    expect([...(await onGpu.data())]).toEqual(expected);
    onGpu.dispose();
  });

  it("lets NaN through activations, pools, products and sums", async () => {
    const x = tf.tensor4d([1, Number.NaN, -3, 4, 5, 6], [1, 2, 3, 1]);
    const flat = tf.reshape(x, [2, 3]);
    const computations: Record<string, () => tf.Tensor> = {
      relu: () => tf.relu(x),
      relu6: () => tf.relu6(x),
      elu: () => tf.elu(x),
      selu: () => tf.selu(x),
      exp: () => tf.exp(x),
      sigmoid: () => tf.sigmoid(x),
      tanh: () => tf.tanh(x),
      softmax: () => tf.softmax(flat),
      maxPool: () => tf.maxPool(x, 2, 1, "same"),
      avgPool: () => tf.avgPool(x, 2, 1, "same"),
      conv2d: () => tf.conv2d(x, tf.ones([1, 1, 1, 2]), 1, "same"),
      matMul: () => tf.matMul(flat as tf.Tensor2D, tf.ones([3, 2])),
      sum: () => tf.sum(flat, 1),
      max: () => tf.max(flat, 1),
    };
    for (const [name, compute] of Object.entries(computations)) {
      const result = tf.tidy(compute);
      expect([...(await result.data())].some(Number.isNaN), name).toBe(true);
      result.dispose();
    }
    const finite = tf.tidy(() => tf.all(tf.isFinite(x)));
    expect([...(await finite.data())]).toEqual([0]);
    tf.dispose([x, flat, finite]);
  });

  it("computes gradients equal to numeric differences", async () => {
    const x = tf.randomNormal([1, 6, 6, 2], 0, 1, "float32", 3) as tf.Tensor4D;
    const filter = tf.randomNormal([3, 3, 2, 4], 0, 0.5, "float32", 4) as tf.Tensor4D;
    const lossOf = (weights: tf.Tensor4D): tf.Tensor =>
      tf.mean(tf.square(tf.tanh(tf.conv2d(x, weights, 2, "same"))));
    const { value, gradients: found } = gradients(() => lossOf(filter), [filter]);
    const slopes = [...((await found[0]?.data()) ?? [])];
    const step = 1e-2;
    for (const place of [0, 17, 71]) {
      const [above, below] = await Promise.all(
        [step, -step].map(async (change) => {
          const values = Float32Array.from(await filter.data());
          values[place] = (values[place] ?? 0) + change;
          const loss = tf.tidy(() => lossOf(tf.tensor4d(values, filter.shape)));
          const [number = Number.NaN] = await loss.data();
          loss.dispose();
          return number;
        }),
      );
      expect(slopes[place]).toBeCloseTo(((above ?? 0) - (below ?? 0)) / (2 * step), 3);
    }
    tf.dispose([x, filter, value, ...found.flatMap((gradient) => gradient ?? [])]);
  });

  it("runs those kernels on WebAssembly that docs/engines.md lists", () => {
    const page = readFileSync("docs/engines.md", "utf8");
    const [, listed = ""] = /<!-- kernels on WebAssembly -->\n([\s\S]*?)<!-- end -->/.exec(page) ?? [];
    expect(listed.match(/\w+/g)).toEqual(fallbackKernels());
  });
});
