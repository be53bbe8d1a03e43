import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MachineError } from "../errors.ts";
import { bindingPackage, engineHome, engineRecordPath } from "./home.ts";
import {
  bindingRelease,
  compileBinding,
  layBindingSources,
  layLibraries,
  verifyBinding,
} from "./setup/build-binding.ts";
import type { TensorFlowChoice } from "./setup/find-tensorflow.ts";
import { findTensorFlow } from "./setup/find-tensorflow.ts";

export type SetupStep = "package" | "tensorflow" | "compile" | "verify" | "done";

export interface SetupOptions extends TensorFlowChoice {
  /** Called at the start of each step. */
  readonly onProgress?: ((step: SetupStep, message: string) => void) | undefined;
}

/** The engine that was built. */
export interface SetupReport {
  readonly name: "native";
  readonly tfjs: string;
  readonly tensorflow: string;
  /** Folder of tfjs-node's package with the binding. */
  readonly path: string;
  /** The source of the TensorFlow libraries. */
  readonly origin: string;
  readonly seconds: number;
}

/**
 * Builds the native engine in `KERAS_FINETUNE_HOME`, or else in the cache folder: tfjs-node compiled against a current
 * TensorFlow. Processes started afterwards use it. On failure, the previous engine is kept.
 * @throws {MachineError} on a platform without a TensorFlow wheel, or without npm, Python and pip, or a C++ compiler.
 *
 * @example
 * const { tensorflow, seconds } = await setupEngine({ onProgress: (step, message) => console.log(step, message) });
 */
export async function setupEngine(options: SetupOptions = {}): Promise<SetupReport> {
  checkPlatform();
  const started = Date.now();
  const home = engineHome();
  const name = `native-${Date.now().toString(36)}-${randomBytes(3).toString("hex")}`;
  const building = join(home, `.building-${name}`);
  const scratch = join(building, "scratch");
  const report = options.onProgress ?? (() => {});
  await mkdir(scratch, { recursive: true }).catch((error: Error) => {
    throw new MachineError(
      `${home}: expected a folder to write to, got "${error.message}". Set KERAS_FINETUNE_HOME to one.`,
      "engine-home",
    );
  });
  try {
    report("package", `fetching @tensorflow/tfjs-node ${bindingRelease}`);
    await layBindingSources(building);
    report("tensorflow", "looking for TensorFlow");
    const tensorflow = await findTensorFlow(options, scratch);
    report("compile", `compiling against TensorFlow (${tensorflow.origin})`);
    await layLibraries(building, tensorflow);
    await compileBinding(building, tensorflow);
    report("verify", "trying it");
    const version = await verifyBinding(building);
    await rm(scratch, { recursive: true, force: true });
    await rename(building, join(home, name));
    await record(home, name, version);
    report("done", `TensorFlow ${version}`);
    return {
      name: "native",
      tfjs: bindingRelease,
      tensorflow: version,
      path: bindingPackage(join(home, name)),
      origin: tensorflow.origin,
      seconds: (Date.now() - started) / 1000,
    };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

function checkPlatform(): void {
  if (process.platform === "linux" && (process.arch === "x64" || process.arch === "arm64")) return;
  throw new MachineError(
    `native engine: expected Linux on x64 or arm64, got ${process.platform} on ${process.arch}. ` +
      "Install tfjs-node's own prebuilt library instead: npm install @tensorflow/tfjs-node; or use the wasm engine.",
    "unsupported-platform",
  );
}

/** Records the new engine as the one in use, then removes older ones. */
async function record(home: string, folder: string, tensorflow: string): Promise<void> {
  const path = engineRecordPath(home);
  await writeFile(`${path}.${folder}`, `${JSON.stringify({ folder, tensorflow })}\n`);
  await rename(`${path}.${folder}`, path);
  const older = (await readdir(home)).filter((name) => name.startsWith("native-") && name !== folder);
  for (const name of older) await rm(join(home, name), { recursive: true, force: true });
}
