import { describe, expect, it } from "vitest";
import { engineInfo } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { boundGpuMemory, gpuPeakBytes } from "../../src/engine/webgpu/buffers.ts";
import type { WebgpuBackend } from "../../src/engine/webgpu/gpu-types.ts";
import { arrayDataset, finetune, freezeUntil } from "../../src/index.ts";
import { missing } from "./missing.ts";

describe.skipIf(missing !== undefined)("the memory of a run on the GPU", () => {
  it("is planned, measured and kept within --memory with the GPU's buffers", async () => {
    const data = arrayDataset(
      { dtype: "float32", shape: [4, 32, 32, 3], data: new Float32Array(4 * 32 * 32 * 3).fill(0.5) },
      { dtype: "float32", shape: [4], data: Float32Array.of(0, 1, 2, 3) },
    );
    const { plan, measured } = await finetune({
      ...{ model: "fixtures/cli/small_resnet.keras", data, freeze: freezeUntil("conv3"), epochs: 1 },
      ...{ memory: 4e9, batchSize: 4, cache: false },
    });
    const { processBytes = 0, gpuBytes = 0, stepBytes = 0 } = plan.cost ?? {};
    expect(gpuBytes).toBeGreaterThan(stepBytes);
    expect(processBytes).toBeGreaterThan(gpuBytes);
    expect(measured.gpuBytes).toBe(gpuPeakBytes());
    expect(measured.gpuBytes).toBeGreaterThan(0);
    const { limits } = (tf.backend() as WebgpuBackend).device;
    expect(engineInfo()?.largestTensor).toBe(
      Math.min(limits["maxBufferSize"] ?? 0, limits["maxStorageBufferBindingSize"] ?? 0),
    );
  });

  it("holds no free buffers beyond its bound", () => {
    const { bufferManager: buffers } = tf.backend() as WebgpuBackend;
    const make = (size: number): void => tf.dispose(tf.fill([size], 1));
    make(2 ** 18);
    boundGpuMemory(buffers.numBytesUsed + 2 ** 20);
    for (const size of [2 ** 17, 2 ** 16, 3 * 2 ** 15, 5 * 2 ** 14]) {
      make(size);
      expect(buffers.numBytesAllocated).toBeLessThanOrEqual(buffers.numBytesUsed + 2 ** 20);
    }
    boundGpuMemory(null);
  });
});
