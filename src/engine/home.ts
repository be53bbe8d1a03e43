import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The contents of `<home>/engine.json`, which name the folder beside it with the native engine that was built last. */
export interface InstalledEngine {
  readonly folder: string;
  readonly tensorflow: string;
}

/**
 * Returns the folder of this machine's native engine: `KERAS_FINETUNE_HOME`, or `keras-finetune` in the user's cache
 * folder.
 */
export function engineHome(): string {
  const { KERAS_FINETUNE_HOME: home, XDG_CACHE_HOME: cache } = process.env;
  return home || join(cache || join(homedir(), ".cache"), "keras-finetune");
}

/**
 * Returns the path of the file that names the engine in use. The file is replaced by a rename, so that readers see
 * either the old or the new one.
 */
export function engineRecordPath(home: string): string {
  return join(home, "engine.json");
}

/** Returns the path of the file that names the folder with the packages of the GPU's engine, replaced in the same way. */
export function gpuRecordPath(home: string): string {
  return join(home, "gpu.json");
}

/** Returns the native engine that `setupEngine` installed in `home`, undefined if there is none. */
export function installedEngine(home: string): InstalledEngine | undefined {
  const record = recordAt<InstalledEngine>(engineRecordPath(home));
  return record && { folder: record.folder, tensorflow: String(record.tensorflow ?? "unknown") };
}

/** Returns the GPU's engine that `setupEngine` installed in `home`, undefined if there is none. */
export function installedGpuEngine(home: string): { readonly folder: string } | undefined {
  const record = recordAt<{ readonly folder: string }>(gpuRecordPath(home));
  return record && { folder: record.folder };
}

/** Returns the path of the file that names the folder with ONNX Runtime, replaced in the same way. */
export function onnxRecordPath(home: string): string {
  return join(home, "onnx.json");
}

/** Returns the ONNX Runtime that `setupOnnxRuntime` installed in `home`, undefined if there is none. */
export function installedOnnxRuntime(
  home: string,
): { readonly folder: string; readonly version: string } | undefined {
  const record = recordAt<{ readonly folder: string; readonly version: string }>(onnxRecordPath(home));
  return record && { folder: record.folder, version: String(record.version ?? "unknown") };
}

/** Reads a record whose `folder` lies beside it, undefined if there is none. */
function recordAt<Record extends { readonly folder: string }>(
  path: string,
): (Partial<Record> & { readonly folder: string }) | undefined {
  try {
    const record = JSON.parse(readFileSync(path, "utf8")) as Partial<Record>;
    const { folder } = record;
    return typeof folder === "string" && !/[\\/]/.test(folder) ? { ...record, folder } : undefined;
  } catch {
    return undefined;
  }
}

/** Returns the path of tfjs-node's package inside an engine folder. */
export function bindingPackage(engineFolder: string): string {
  return join(engineFolder, "node_modules", "@tensorflow", "tfjs-node");
}

/** Returns the path of the addon, inside an engine folder, that loads TensorFlow without letting it write to stderr. */
export function quietLoadFile(engineFolder: string): string {
  return join(engineFolder, "quiet-load.node");
}
