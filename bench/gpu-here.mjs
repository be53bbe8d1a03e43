/** Looks for a GPU for the benchmarks. */
import { join } from "node:path";

/** Returns the names of this machine's GPU, or the reason why there is none to measure. */
export async function gpuHere() {
  const { engineHome, installedGpuEngine } = await import("../dist/engine/home.js");
  const { describeGpu } = await import("../dist/engine/webgpu/device.js");
  const installed = installedGpuEngine(engineHome());
  if (!installed) return { reason: "run `finetune setup --gpu` first." };
  try {
    const gpu = await describeGpu(join(engineHome(), installed.folder));
    return gpu ? { gpu } : { reason: "no GPU with a driver here." };
  } catch (error) {
    return { reason: error.message };
  }
}
