import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MachineError } from "../errors.ts";
import { engineHome, onnxRecordPath } from "./home.ts";
import { loadOnnxRuntime } from "./onnx-runtime.ts";
import { runCommand } from "./setup/run-command.ts";

/** The release of onnxruntime-node that is installed. */
const release = "1.30.0";

export interface OnnxSetupOptions {
  /** Called at the start of each step. */
  readonly onProgress?: ((step: "package" | "verify" | "done", message: string) => void) | undefined;
}

/** The ONNX Runtime that was installed. */
export interface OnnxSetupReport {
  readonly name: "onnxruntime";
  readonly version: string;
  /** Folder of the package. */
  readonly path: string;
  readonly seconds: number;
}

/**
 * Installs ONNX Runtime, about 290 MB, in `KERAS_FINETUNE_HOME`, or else in the cache folder. Processes started afterwards run frozen layers
 * on it where the engine is wasm. On failure, what was installed before is kept.
 * @throws {MachineError} without npm or a network, or where the package does not load.
 *
 * @example
 * const { version } = await setupOnnxRuntime();
 */
export async function setupOnnxRuntime(options: OnnxSetupOptions = {}): Promise<OnnxSetupReport> {
  const started = Date.now();
  const home = engineHome();
  const name = `onnx-${Date.now().toString(36)}-${randomBytes(3).toString("hex")}`;
  const building = join(home, `.building-${name}`);
  const report = options.onProgress ?? (() => {});
  await mkdir(building, { recursive: true }).catch((error: Error) => {
    throw new MachineError(
      `${home}: expected a folder to write to, got "${error.message}". Set KERAS_FINETUNE_HOME to one.`,
      "engine-home",
    );
  });
  try {
    report("package", `fetching onnxruntime-node ${release}`);
    await writeFile(join(building, "package.json"), JSON.stringify({ private: true }));
    const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--save-exact"];
    await runCommand("npm install", "npm", ["install", ...flags, `onnxruntime-node@${release}`], {
      folder: building,
      code: "onnx-package",
      missing: "npm is not installed. Install Node.js with npm.",
      failed: "Check the network and npm's registry, and run it again.",
    });
    report("verify", "trying it");
    loadOnnxRuntime(building);
    await rename(building, join(home, name));
    const record = onnxRecordPath(home);
    await writeFile(`${record}.${name}`, JSON.stringify({ folder: name, version: release }));
    await rename(`${record}.${name}`, record);
    for (const other of await readdir(home)) {
      if (!/^onnx-\w+-\w+$/.test(other) || other === name) continue;
      await rm(join(home, other), { recursive: true, force: true });
    }
    report("done", `ONNX Runtime ${release}`);
    const path = join(home, name, "node_modules", "onnxruntime-node");
    return { name: "onnxruntime", version: release, path, seconds: (Date.now() - started) / 1000 };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}
