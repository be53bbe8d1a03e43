import { beforeAll, describe, expect, it } from "vitest";
import { ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { onWasm } from "../../src/engine/webgpu/elsewhere.ts";
import type { ShaderProgram, WebgpuBackend } from "../../src/engine/webgpu/gpu-types.ts";
import { missing } from "./missing.ts";

const normal = (shape: number[], seed: number): tf.Tensor => tf.randomNormal(shape, 0, 1, "float32", seed);
const wholes = (length: number, below: number): number[] =>
  Array.from({ length }, (_, index) => (index * 7919) % below);

/** Computations whose sums tfjs's own shaders add up in the order in which threads end. */
const computations: Readonly<Record<string, () => tf.Tensor>> = {
  "a product of a long inner axis": () =>
    tf.matMul(normal([4, 2048], 1) as tf.Tensor2D, normal([2048, 64], 2)),
  "one of odd sizes": () => tf.matMul(normal([3, 2051], 1) as tf.Tensor2D, normal([2051, 67], 2)),
  "one in more parts than are kept": () =>
    tf.matMul(normal([5003, 5], 1) as tf.Tensor2D, normal([5003, 30], 2), true, false),
  "the gradient of an embedding": () =>
    tf.unsortedSegmentSum(normal([300, 3, 2], 1), tf.tensor1d([-1, ...wholes(299, 7)], "int32"), 9),
  "sums of whole numbers": () =>
    tf.unsortedSegmentSum(tf.tensor1d(wholes(300, 11), "int32"), tf.tensor1d(wholes(300, 7), "int32"), 7),
  "values scattered to the same places": () =>
    tf.scatterND(tf.tensor2d(wholes(600, 4), [300, 2], "int32"), normal([300, 5], 1), [4, 5, 5]),
};

describe.skipIf(missing !== undefined)("on a GPU", () => {
  let backend: WebgpuBackend;
  beforeAll(async () => {
    await ensureEngine();
    tf.env().set("WEBGPU_CPU_FORWARD", false);
    backend = tf.backend() as WebgpuBackend;
  });

  it.each(Object.keys(computations))(
    "%s is added up in one order, to what WebAssembly computes",
    async (name) => {
      const compute = computations[name] as () => tf.Tensor;
      const run = backend.runWebGPUProgram;
      const programs: ShaderProgram[] = [];
      backend.runWebGPUProgram = (program, ...rest) => {
        const output = run.call(backend, program, ...rest);
        programs.push(program);
        return output;
      };
      const before = tf.memory().numTensors;
      const results = [tf.tidy(compute), tf.tidy(compute)];
      backend.runWebGPUProgram = run;
      const [first = [], second = []] = await Promise.all(
        results.map(async (each) => [...(await each.data())]),
      );
      tf.dispose(results);
      expect(tf.memory().numTensors).toBe(before);
      expect(programs.filter(({ atomic }) => atomic)).toEqual([]);
      expect(programs.some(({ shaderKey }) => /_parts_|^ordered/.test(shaderKey))).toBe(true);
      expect(second).toEqual(first);
      const expected = onWasm(() => tf.tidy(() => [...compute().dataSync()]));
      expect(
        Math.max(...first.map((value, index) => Math.abs(value - (expected[index] ?? NaN)))),
      ).toBeLessThan(1e-5 * Math.max(...expected.map(Math.abs)));
    },
  );
});
