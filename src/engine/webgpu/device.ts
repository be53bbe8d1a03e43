/** @file The GPU itself: Dawn, which is the WebGPU of Chromium, its adapter and its device. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { MachineError } from "../../errors.ts";
import type { Gpu, GpuAdapter, GpuAdapterInfo, GpuDevice } from "./gpu-types.ts";

interface DawnModule {
  create(flags: readonly string[]): Gpu;
  readonly globals: Readonly<Record<string, unknown>>;
}

/** A GPU that is ready, with the names that its driver gives. */
export interface OpenGpu {
  readonly device: GpuDevice;
  readonly gpu: Gpu;
  readonly info: GpuAdapterInfo;
  readonly adapter: string;
  readonly driver: string;
  /** True for a driver that computes on the CPU. */
  readonly isSoftware: boolean;
}

/** Drivers that compute on the CPU. */
const softwareDrivers = /swiftshader|llvmpipe|lavapipe|basic render|\bwarp\b/i;

/** Limits that are raised from WebGPU's defaults to what the adapter has. */
const raisedLimits = [
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
];

/**
 * Opens the GPU of this machine through the `webgpu` package in `folder`.
 * @param software True to take a driver that computes on the CPU too.
 * @throws {MachineError} if the package does not load, or there is no such adapter.
 */
export async function openGpu(folder: string, software: boolean): Promise<OpenGpu> {
  requireVulkan();
  const { create, globals } = await loadDawn(folder);
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const adapter = await chosenAdapter(gpu, software);
  return { device: await openDevice(adapter), gpu, info: adapter.info, ...described(adapter.info) };
}

/**
 * Asks for the fastest adapter.
 * @param software True to take a driver that computes on the CPU too.
 * @throws {MachineError} if there is none, or only such a driver.
 */
export async function chosenAdapter(gpu: Gpu, software: boolean): Promise<GpuAdapter> {
  const chosen = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!chosen) {
    throw new MachineError(
      "webgpu engine: expected a GPU with a driver for Vulkan, Metal or Direct3D 12, got none. Install the GPU's driver, or use another engine.",
      "no-gpu",
    );
  }
  const { adapter, driver, isSoftware } = described(chosen.info);
  if (isSoftware && !software) {
    throw new MachineError(
      `webgpu engine: expected a GPU, got ${adapter} (${driver}), which computes on the CPU. Ask for webgpu by name to use it all the same.`,
      "software-gpu",
    );
  }
  return chosen;
}

/**
 * Returns the names of this machine's GPU and its driver, undefined if there is none.
 * @throws {MachineError} if the package in `folder` does not load.
 */
export async function describeGpu(
  folder: string,
): Promise<Pick<OpenGpu, "adapter" | "driver" | "isSoftware"> | undefined> {
  try {
    const { device, adapter, driver, isSoftware } = await openGpu(folder, true);
    device.destroy();
    return { adapter, driver, isSoftware };
  } catch (error) {
    if (error instanceof MachineError && error.code === "no-gpu") return undefined;
    throw error;
  }
}

async function loadDawn(folder: string): Promise<DawnModule> {
  const file = join(folder, "node_modules", "webgpu", "index.js");
  try {
    return (await import(pathToFileURL(file).href)) as DawnModule;
  } catch (error) {
    throw new MachineError(
      `${file}: webgpu engine: expected it to load, got "${(error as Error).message}". Run \`finetune setup --gpu\`.`,
      "engine-not-loadable",
    );
  }
}

/** On Linux, Dawn finds drivers through Vulkan's loader, without which it writes a warning to stderr. */
function requireVulkan(): void {
  if (process.platform !== "linux") return;
  try {
    // A library that is no addon is loaded, found to be none and released.
    process.dlopen({ exports: {} }, "libvulkan.so.1");
  } catch (error) {
    if (!/cannot open shared object/.test((error as Error).message)) return;
    throw new MachineError(
      "webgpu engine: expected libvulkan.so.1, which leads to the GPU's driver, got none. Install it (Debian, Ubuntu: apt install libvulkan1) and the driver.",
      "no-gpu",
    );
  }
}

async function openDevice(adapter: GpuAdapter): Promise<GpuDevice> {
  const limits = raisedLimits.map((name) => [name, adapter.limits[name]] as const);
  const requiredLimits = Object.fromEntries(
    limits.filter((limit): limit is readonly [string, number] => limit[1] !== undefined),
  );
  return adapter.requestDevice({ requiredLimits });
}

function described({ vendor, architecture, device, description, isFallbackAdapter }: GpuAdapterInfo) {
  const adapter = device || [vendor, architecture].filter(Boolean).join(" ") || "unnamed";
  const driver = description || "unnamed";
  const names = [vendor, architecture, device, description].join(" ");
  return { adapter, driver, isSoftware: isFallbackAdapter === true || softwareDrivers.test(names) };
}
