import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** What `<home>/engine.json` says: which folder beside it holds the native engine that was built last. */
export interface InstalledEngine {
  readonly folder: string;
  readonly tensorflow: string;
}

/** Where this machine's native engine lives: `KERAS_FINETUNE_HOME`, else `keras-finetune` in the user's cache folder. */
export function engineHome(): string {
  const { KERAS_FINETUNE_HOME: home, XDG_CACHE_HOME: cache } = process.env;
  return home || join(cache || join(homedir(), ".cache"), "keras-finetune");
}

/** The file that names the engine in use. It is replaced by a rename, so a reader sees the old one or the new one. */
export function engineRecordPath(home: string): string {
  return join(home, "engine.json");
}

/** The engine that `setupEngine` laid in `home`, or undefined where there is none. */
export function installedEngine(home: string): InstalledEngine | undefined {
  try {
    const record = JSON.parse(readFileSync(engineRecordPath(home), "utf8")) as Partial<InstalledEngine>;
    if (typeof record.folder !== "string" || record.folder.includes("/")) return undefined;
    return { folder: record.folder, tensorflow: String(record.tensorflow ?? "unknown") };
  } catch {
    return undefined;
  }
}

/** tfjs-node's package inside an engine folder. */
export function bindingPackage(engineFolder: string): string {
  return join(engineFolder, "node_modules", "@tensorflow", "tfjs-node");
}

/** The addon inside an engine folder that loads TensorFlow without letting it write to the error output. */
export function quietLoadFile(engineFolder: string): string {
  return join(engineFolder, "quiet-load.node");
}
