import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MachineError } from "../errors.ts";
import { bindingPackage, engineHome, engineRecordPath, gpuRecordPath } from "./home.ts";
import {
  bindingRelease,
  compileBinding,
  layBindingSources,
  layLibraries,
  verifyBinding,
} from "./setup/build-binding.ts";
import type { TensorFlowChoice } from "./setup/find-tensorflow.ts";
import { findTensorFlow } from "./setup/find-tensorflow.ts";
import { watchingGrowth } from "./setup/folder-growth.ts";
import { dawnRelease, gpuBackendRelease, gpuPackagesBytes, layGpuPackages } from "./setup/gpu-packages.ts";
import { setupPlatform } from "./setup/platform.ts";
import { describeGpu } from "./webgpu/device.ts";

export type SetupStep = "package" | "tensorflow" | "compile" | "verify" | "done";

export interface SetupOptions extends TensorFlowChoice {
  /** True to lay the packages of the webgpu engine in place of building the native one. */
  readonly gpu?: boolean | undefined;
  /** Called at the start of each step. */
  readonly onProgress?: ((step: SetupStep, message: string) => void) | undefined;
}

/** The engine that was installed. */
export type SetupReport = NativeSetup | GpuSetup;

/** The native engine that was built. */
export interface NativeSetup {
  readonly name: "native";
  readonly tfjs: string;
  readonly tensorflow: string;
  /** Folder of tfjs-node's package with the binding. */
  readonly path: string;
  /** The source of the TensorFlow libraries. */
  readonly origin: string;
  readonly seconds: number;
}

/** The packages of the webgpu engine that were laid, and the GPU that they find here. */
export interface GpuSetup {
  readonly name: "webgpu";
  readonly tfjs: string;
  /** The version of the package with Dawn, the WebGPU of Chromium. */
  readonly dawn: string;
  readonly path: string;
  /** The names of the GPU and of its driver; null where no GPU was found. */
  readonly adapter: string | null;
  readonly driver: string | null;
  /** True for a driver that computes on the CPU, which the engine `auto` passes over. */
  readonly isSoftware: boolean;
  readonly seconds: number;
}

/** A folder that is filled and then takes its place at once. */
interface Building {
  readonly home: string;
  readonly name: string;
  /** The folder with the contents until they are complete. */
  readonly folder: string;
}

/**
 * Installs an engine in `KERAS_FINETUNE_HOME`, or else in the cache folder: the native one, which is tfjs-node compiled against a
 * current TensorFlow (on Windows tfjs-node with the library that it brings), or with `gpu` the packages of the webgpu engine.
 * Processes started afterwards use it. On failure, the previous engine is kept.
 * @throws {MachineError} on a platform without a TensorFlow wheel, or without npm, Python and pip, or a C++ compiler.
 *
 * @example
 * const { name, path } = await setupEngine({ onProgress: (step, message) => console.log(step, message) });
 */
export async function setupEngine(options: SetupOptions = {}): Promise<SetupReport> {
  if (!options.gpu) checkPlatform();
  const home = engineHome();
  const name = `${options.gpu ? "webgpu" : "native"}-${Date.now().toString(36)}-${randomBytes(3).toString("hex")}`;
  const folder = join(home, `.building-${name}`);
  await mkdir(folder, { recursive: true }).catch((error: Error) => {
    throw new MachineError(
      `${home}: expected a folder to write to, got "${error.message}". Set KERAS_FINETUNE_HOME to one.`,
      "engine-home",
    );
  });
  try {
    const building = { home, name, folder };
    return options.gpu ? await layGpu(building, options) : await buildNative(building, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function buildNative({ home, name, folder }: Building, options: SetupOptions): Promise<NativeSetup> {
  const started = Date.now();
  const report = options.onProgress ?? (() => {});
  const scratch = join(folder, "scratch");
  await mkdir(scratch);
  const isPrebuilt = setupPlatform()?.from === "installer";
  report("package", `fetching @tensorflow/tfjs-node ${bindingRelease}`);
  await layBindingSources(folder, isPrebuilt);
  const origin = isPrebuilt
    ? "tfjs-node's own library"
    : await compileNative(folder, scratch, options, report);
  report("verify", "trying it");
  const version = await verifyBinding(folder);
  await rm(scratch, { recursive: true, force: true });
  await rename(folder, join(home, name));
  await record(engineRecordPath(home), { folder: name, tensorflow: version });
  await removeOlder(home, name, "native-");
  report("done", `TensorFlow ${version}`);
  return {
    name: "native",
    tfjs: bindingRelease,
    tensorflow: version,
    path: bindingPackage(join(home, name)),
    origin,
    seconds: (Date.now() - started) / 1000,
  };
}

/** Compiles tfjs-node against TensorFlow, whose source is returned. */
async function compileNative(
  folder: string,
  scratch: string,
  options: SetupOptions,
  report: NonNullable<SetupOptions["onProgress"]>,
): Promise<string> {
  report("tensorflow", "looking for TensorFlow");
  const tensorflow = await findTensorFlow(options, scratch);
  report("compile", `compiling against TensorFlow (${tensorflow.origin})`);
  await layLibraries(folder, tensorflow);
  await compileBinding(folder, tensorflow);
  return tensorflow.origin;
}

async function layGpu({ home, name, folder }: Building, options: SetupOptions): Promise<GpuSetup> {
  const started = Date.now();
  const report = options.onProgress ?? (() => {});
  const what = `webgpu ${dawnRelease}`;
  report("package", `fetching ${what} and @tensorflow/tfjs-backend-webgpu ${gpuBackendRelease}`);
  const onBytes = (bytes: number): void => options.onDownload?.(what, bytes, gpuPackagesBytes);
  await watchingGrowth(join(folder, "node_modules"), onBytes, () => layGpuPackages(folder));
  report("verify", "looking for a GPU");
  const found = await describeGpu(folder);
  await rename(folder, join(home, name));
  await record(gpuRecordPath(home), { folder: name });
  await removeOlder(home, name, "webgpu-");
  report("done", found ? `${found.adapter} (${found.driver})` : "no GPU found here");
  return {
    name: "webgpu",
    tfjs: gpuBackendRelease,
    dawn: dawnRelease,
    path: join(home, name),
    adapter: found?.adapter ?? null,
    driver: found?.driver ?? null,
    isSoftware: found?.isSoftware ?? false,
    seconds: (Date.now() - started) / 1000,
  };
}

function checkPlatform(): void {
  if (setupPlatform()) return;
  throw new MachineError(
    `native engine: expected Linux on x64 or arm64, macOS on arm64 or Windows on x64, got ${process.platform} on ${process.arch}. ` +
      "Install tfjs-node's own prebuilt library instead: npm install @tensorflow/tfjs-node; or use the webgpu or the wasm engine.",
    "unsupported-platform",
  );
}

/** Writes the file that names the folder in use, in one step. */
async function record(
  path: string,
  { folder, ...facts }: { readonly folder: string; readonly tensorflow?: string },
) {
  await writeFile(`${path}.${folder}`, `${JSON.stringify({ folder, ...facts })}\n`);
  await rename(`${path}.${folder}`, path);
}

/** Removes the folders of earlier engines of a kind. On Windows one that is in use stays for the next time. */
async function removeOlder(home: string, name: string, prefix: string): Promise<void> {
  const older = (await readdir(home)).filter((other) => other.startsWith(prefix) && other !== name);
  for (const other of older) await rm(join(home, other), { recursive: true, force: true }).catch(() => {});
}
