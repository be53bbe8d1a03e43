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

/** Returns the engine that `setupEngine` installed in `home`, undefined if there is none. */
export function installedEngine(home: string): InstalledEngine | undefined {
  try {
    const record = JSON.parse(readFileSync(engineRecordPath(home), "utf8")) as Partial<InstalledEngine>;
    if (typeof record.folder !== "string" || record.folder.includes("/")) return undefined;
    return { folder: record.folder, tensorflow: String(record.tensorflow ?? "unknown") };
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
