import { execFileSync } from "node:child_process";
import { beforeAll, describe, expect, it } from "vitest";
import { engineInfo, ensureEngine } from "../../src/engine/backend.ts";
import { tf } from "../../src/engine/tf.ts";
import { chosenAdapter } from "../../src/engine/webgpu/device.ts";
import type { Gpu, WebgpuBackend } from "../../src/engine/webgpu/gpu-types.ts";
import { missing } from "./missing.ts";

describe.skipIf(missing !== undefined)("a GPU's device", () => {
  let backend: WebgpuBackend;
  beforeAll(async () => {
    await ensureEngine();
    tf.env().set("WEBGPU_CPU_FORWARD", false);
    backend = tf.backend() as WebgpuBackend;
  });

  const doctor = (engine: string): string =>
    execFileSync(process.execPath, ["bin/finetune.js", "doctor", "--engine", engine], { encoding: "utf8" });

  it("is named by doctor, with its driver; auto passes over one that computes on the CPU", () => {
    const { adapter = "", driver = "" } = engineInfo() ?? {};
    expect(doctor("webgpu")).toContain(`${adapter} (${driver})`);
    if (!/swiftshader/i.test(adapter)) return;
    const auto = doctor("auto");
    expect(auto).not.toMatch(/^engine +webgpu/m);
    expect(auto).toContain(`not used  webgpu: webgpu engine: expected a GPU, got ${adapter} (${driver})`);
  });

  it("holds tensors as large as the adapter does, and not only WebGPU's default of 128 MiB", async () => {
    const { gpu } = (globalThis as unknown as { navigator: { gpu: Gpu } }).navigator;
    const { limits } = await chosenAdapter(gpu, true);
    for (const limit of ["maxBufferSize", "maxStorageBufferBindingSize"]) {
      expect(backend.device.limits[limit]).toBe(limits[limit]);
    }
  });

  it("tells with the next values that an operation was invalid, and goes on", async () => {
    const x = tf.mul(tf.tensor1d([1, 2]), 2);
    backend.device.createBuffer({ size: 16, usage: 2 ** 20 });
    await expect(x.data()).rejects.toMatchObject({ code: "gpu-operation" });
    expect([...(await x.data())]).toEqual([2, 4]);
    x.dispose();
  });

  it("that is lost is an error by name, with every read from then on", async () => {
    const [known, x] = [tf.mul(tf.tensor1d([1, 2]), 2), tf.mul(tf.tensor1d([1, 2]), 3)];
    await known.data();
    backend.device.destroy();
    for (const _read of [1, 2]) {
      await expect(x.data()).rejects.toMatchObject({
        code: "gpu-lost",
        message: expect.stringMatching(
          /^webgpu engine: device: expected it to stay, got it lost \(destroyed/,
        ),
      });
    }
    expect([...(await known.data())]).toEqual([2, 4]);
  });
});
