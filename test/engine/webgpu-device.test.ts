import { describe, expect, it } from "vitest";
import { limitBuffers } from "../../src/engine/webgpu/buffers.ts";
import { chosenAdapter } from "../../src/engine/webgpu/device.ts";
import { watchFailures } from "../../src/engine/webgpu/failures.ts";
import type { BufferManager, GpuAdapter, GpuBuffer, GpuDevice } from "../../src/engine/webgpu/gpu-types.ts";

/** A GPU whose driver gives these names. */
function gpuNamed(names: {
  vendor?: string;
  device?: string;
  description?: string;
  isFallbackAdapter?: boolean;
}) {
  const info = { vendor: "", architecture: "", device: "", description: "", ...names };
  const adapter = { info, limits: {} } as unknown as GpuAdapter;
  return { adapter, gpu: { requestAdapter: async () => adapter } };
}

describe("the adapter that the engine auto takes", () => {
  it.each([
    ["Chromium's driver", { vendor: "google", device: "SwiftShader Device (Subzero)" }],
    ["Mesa's", { vendor: "mesa", device: "llvmpipe (LLVM 15.0.6, 256 bits)" }],
    ["Mesa's by its other name", { description: "lavapipe" }],
    ["Windows's", { vendor: "microsoft", device: "Microsoft Basic Render Driver" }],
    ["Direct3D's", { description: "WARP 10.0" }],
    ["any that says so", { vendor: "anybody", isFallbackAdapter: true }],
  ])("is none that computes on the CPU: %s", async (_whose, names) => {
    const { gpu, adapter } = gpuNamed(names);
    await expect(chosenAdapter(gpu, false)).rejects.toMatchObject({
      code: "software-gpu",
      message: expect.stringMatching(
        /^webgpu engine: expected a GPU, got .*, which computes on the CPU\. Ask for webgpu/,
      ),
    });
    expect(await chosenAdapter(gpu, true)).toBe(adapter);
  });

  it.each([
    { vendor: "apple", device: "Apple M2" },
    { vendor: "nvidia", device: "NVIDIA GeForce RTX 4070" },
    { vendor: "intel", device: "Intel(R) Iris(R) Xe Graphics" },
    { vendor: "amd", device: "AMD Radeon RX 7800 XT (RADV NAVI32)" },
  ])("is $device", async (names) => {
    const { gpu, adapter } = gpuNamed(names);
    expect(await chosenAdapter(gpu, false)).toBe(adapter);
  });

  it("is missed by name where there is none", async () => {
    const nothing = { requestAdapter: async () => null };
    await expect(chosenAdapter(nothing, true)).rejects.toMatchObject({ code: "no-gpu" });
  });
});

/** Vulkan's least limits, which WebGPU takes for its own: buffers of 256 MiB, of which a shader binds 128. */
const leastLimits = { maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27 };

describe("buffers on a GPU of the least limits", () => {
  const made: number[] = [];
  const buffers = {
    ...{ numBytesUsed: 0, numBytesAllocated: 0, numFreeBuffers: 0, freeBuffers: new Map() },
    acquireBuffer: (size: number): GpuBuffer => {
      made.push(size);
      return { size, destroy: () => {} };
    },
  } as BufferManager;
  limitBuffers(buffers, { limits: leastLimits } as unknown as GpuDevice);

  it("refuse the first Dense of VGG16 by name, and hold its convolutions", () => {
    expect(() => buffers.acquireBuffer(25_088 * 4096 * 4, 0)).toThrow(
      /^memory: expected a tensor of at most 135 MB, which one buffer of this GPU holds, got one of 412 MB\. Lower batchSize/,
    );
    buffers.acquireBuffer(3 * 3 * 512 * 512 * 4, 0);
    expect(made).toEqual([3 * 3 * 512 * 512 * 4]);
  });
});

class GPUOutOfMemoryError extends Error {}

describe("failures of a GPU", () => {
  type Listener = (event: { error: Error; preventDefault(): void }) => void;
  const watched = () => {
    const listeners: Listener[] = [];
    let lose: (loss: { reason: string; message: string }) => void = () => {};
    const lost = new Promise<{ reason: string; message: string }>((resolve) => {
      lose = resolve;
    });
    const device = {
      lost,
      addEventListener: (_type: string, listener: Listener) => listeners.push(listener),
    };
    const failures = watchFailures(device as unknown as GpuDevice, { numBytesUsed: 3e9 } as BufferManager);
    const fail = (error: Error): void => {
      for (const listener of listeners) listener({ error, preventDefault: () => {} });
    };
    return { failures, fail, lose };
  };

  it("are told once, memory that runs out with what is held", () => {
    const { failures, fail } = watched();
    fail(new GPUOutOfMemoryError("Buffer allocation failed"));
    expect(() => failures.raise()).toThrow(
      /^memory: expected room for the next tensor beside 3,000 MB in the GPU's memory/,
    );
    expect(() => failures.raise()).not.toThrow();
  });

  it("name the operation that the GPU cannot run", () => {
    const { failures, fail } = watched();
    fail(new Error("error: cannot index type 'vec5'\n - While validating"));
    expect(() => failures.raise()).toThrow(
      /^webgpu engine: expected an operation that the GPU can run, got "error: cannot index type 'vec5'"/,
    );
  });

  it("last where the device is lost", async () => {
    const { failures, lose } = watched();
    lose({ reason: "unknown", message: "the driver was reset" });
    await Promise.resolve();
    for (const _read of [1, 2]) {
      expect(() => failures.raise()).toThrow(
        /device: expected it to stay, got it lost \(unknown: the driver was reset\)/,
      );
    }
  });
});
