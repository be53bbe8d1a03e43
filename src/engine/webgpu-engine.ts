import { createRequire } from "node:module";
import { join } from "node:path";
import { MachineError } from "../errors.ts";
import { engineHome, installedGpuEngine } from "./home.ts";
import { requireWithOurTfjs } from "./shared-tfjs.ts";
import { tf } from "./tf.ts";
import { largestBuffer, limitBuffers } from "./webgpu/buffers.ts";
import { registerCorrections } from "./webgpu/corrections.ts";
import type { OpenGpu } from "./webgpu/device.ts";
import { openGpu } from "./webgpu/device.ts";
import { watchFailures } from "./webgpu/failures.ts";
import { registerFallbackKernels } from "./webgpu/fallback-kernels.ts";
import type { GpuAdapterInfo, GpuDevice, WebgpuBackend } from "./webgpu/gpu-types.ts";
import { webgpuBackendName } from "./webgpu/name.ts";
import { orderSplitProducts, registerOrderedSums } from "./webgpu/ordered-sums.ts";
import { registerHighRanks } from "./webgpu/ranks.ts";
import { replaceReading } from "./webgpu/reading.ts";
import { allowShaderChanges } from "./webgpu/shaders.ts";
import { registerReductions, registerTransposition } from "./webgpu/transposition.ts";

/** The engine as it was started. */
export interface StartedGpu {
  /** The folder that `setupEngine` laid. */
  readonly path: string;
  readonly adapter: string;
  readonly driver: string;
  /** The bytes that one buffer holds. */
  readonly largestTensor: number;
}

interface BackendModule {
  readonly WebGPUBackend: new (device: GpuDevice, info: GpuAdapterInfo) => WebgpuBackend;
}

/** Held for as long as the process lives: a device goes with the object that opened it. */
let opened: OpenGpu | undefined;

/**
 * Starts the GPU's backend as the current one.
 * @param software True to take a driver that computes on the CPU too.
 * @throws {MachineError} if nothing is installed, nothing loads, or there is no such GPU.
 */
export async function startWebgpuEngine(software: boolean): Promise<StartedGpu> {
  const home = engineHome();
  const installed = installedGpuEngine(home);
  if (!installed) {
    throw new MachineError(
      `webgpu engine: expected it in ${home}, got none. Run \`finetune setup --gpu\`.`,
      "no-gpu-engine",
    );
  }
  const path = join(home, installed.folder);
  opened ??= await openGpu(path, software);
  const { device, info, adapter, driver } = opened;
  // The kernels that the GPU lacks run there. Imported as where it is the engine itself, so that a bundle makes a file of it.
  const { startWasmEngine } = await import("./wasm-engine.ts");
  await startWasmEngine(1);
  const { WebGPUBackend } = loadBackend(path, opened);
  if (tf.findBackend(webgpuBackendName) === null) {
    tf.registerBackend(webgpuBackendName, () => {
      const backend = new WebGPUBackend(device, info);
      orderSplitProducts(backend);
      allowShaderChanges(backend);
      limitBuffers(backend.bufferManager, device);
      replaceReading(backend, watchFailures(device, backend.bufferManager));
      process.once("exit", () => close(backend));
      return backend;
    });
  }
  await tf.setBackend(webgpuBackendName);
  registerWebgpuKernels();
  return { path, adapter, driver, largestTensor: largestBuffer(device) };
}

/**
 * Ends the reads that are under way, and waits for the GPU. Left alone, a driver may still compute while the process takes its
 * libraries down, which is a segmentation fault, and Dawn aborts a process or thread that leaves a read unanswered.
 */
function close(backend: WebgpuBackend): void {
  backend.dispose();
  backend.device.destroy();
}

let registered = false;

/** Registers the kernels that the backend lacks, computes incorrectly or cannot compile. */
function registerWebgpuKernels(): void {
  if (registered) return;
  registered = true;
  registerFallbackKernels();
  registerTransposition();
  registerReductions();
  registerOrderedSums();
  registerHighRanks();
  registerCorrections();
}

/** Loads tfjs's backend, which looks for the browser's `navigator.gpu` when it is loaded and when it is made. */
function loadBackend(folder: string, { gpu }: OpenGpu): BackendModule {
  const browser = globalThis as { navigator?: object };
  if (browser.navigator === undefined) {
    Object.defineProperty(browser, "navigator", { value: {}, configurable: true });
  }
  Object.defineProperty(browser.navigator, "gpu", { value: gpu, configurable: true });
  const load = createRequire(join(folder, "package.json"));
  const module = requireWithOurTfjs(folder, () => load("@tensorflow/tfjs-backend-webgpu") as BackendModule);
  if (tf.findBackendFactory(webgpuBackendName) && tf.findBackend(webgpuBackendName) === null) {
    tf.removeBackend(webgpuBackendName);
  }
  return module;
}
