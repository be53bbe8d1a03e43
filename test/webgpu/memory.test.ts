import { describe, expect, it } from "vitest";
import { engineInfo } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { boundGpuMemory, gpuPeakBytes } from "../../src/engine/webgpu/buffers.ts";
import type { WebgpuBackend } from "../../src/engine/webgpu/gpu-types.ts";
import { arrayDataset, freezeUntil } from "../../src/index.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { resolveOptions } from "../../src/run/settings.ts";
import { smallCheckpoint } from "../training/small-run.ts";
import { missing } from "./missing.ts";

describe.skipIf(missing !== undefined)("the memory of a run on the GPU", () => {
  it("is planned with the GPU's buffers", async () => {
    const data = arrayDataset(
      { dtype: "float32", shape: [4, 5], data: new Float32Array(20).fill(0.5) },
      { dtype: "float32", shape: [4], data: Float32Array.of(0, 1, 2, 0) },
    );
    const options = resolveOptions({
      ...{ model: smallCheckpoint(), data, freeze: freezeUntil("out"), epochs: 1 },
      ...{ memory: 4e9, batchSize: 4, cache: false },
    });
    const { plan } = await prepareRun(options, { isTimed: false });
    const { processBytes = 0, gpuBytes = 0, stepBytes = 0 } = plan.cost ?? {};
    expect(gpuBytes).toBeGreaterThan(stepBytes);
    expect(processBytes).toBeGreaterThan(gpuBytes);
    const { limits } = (tf.backend() as WebgpuBackend).device;
    expect(engineInfo()?.largestTensor).toBe(
      Math.min(limits["maxBufferSize"] ?? 0, limits["maxStorageBufferBindingSize"] ?? 0),
    );
  });

  it("holds no free buffers beyond its bound, and is measured", () => {
    const { bufferManager: buffers } = tf.backend() as WebgpuBackend;
    const make = (size: number): void => tf.dispose(tf.fill([size], 1));
    make(2 ** 18);
    boundGpuMemory(buffers.numBytesUsed + 2 ** 20);
    for (const size of [2 ** 17, 2 ** 16, 3 * 2 ** 15, 5 * 2 ** 14]) {
      make(size);
      expect(buffers.numBytesAllocated).toBeLessThanOrEqual(buffers.numBytesUsed + 2 ** 20);
    }
    boundGpuMemory(null);
    expect(gpuPeakBytes()).toBeGreaterThanOrEqual(buffers.numBytesAllocated);
  });
});
