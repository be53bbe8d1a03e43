import { existsSync } from "node:fs";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isCustomLayer, registrationCount } from "../cli-api.ts";
import { registerLayer, UsageError } from "../index.ts";
import type { FlagsOf } from "./flag.ts";
import { list } from "./flag.ts";

export interface LayersValue {
  readonly layers?: readonly string[];
}

/** The modules that make custom layers known. */
export const layersFlag: FlagsOf<LayersValue> = {
  layers: list(
    "Module that registers custom layers, or exports them as { className, spec, kernel }: .js, .mjs, or .ts on Node 22.18 and later; may be given again",
    "FILE",
    "Model and data",
  ),
};

/** Layers that came from a module. */
const known = new WeakSet<object>();

/** Modules that registered layers themselves. */
const loaded = new Set<string>();

/**
 * Loads modules, which is running their code, and registers the layers that they export.
 * @throws {UsageError} for a module that cannot be loaded, or that makes no layer known.
 */
export async function registerLayersOf(paths: readonly string[]): Promise<void> {
  for (const path of paths) await registerLayersIn(path);
}

async function registerLayersIn(path: string): Promise<void> {
  const before = registrationCount();
  const module = await load(path);
  const layers = Object.values(module)
    .flatMap((value) => (Array.isArray(value) ? (value as readonly unknown[]) : [value]))
    .filter(isCustomLayer);
  for (const layer of layers) {
    if (!known.has(layer)) registerLayer(layer);
    known.add(layer);
  }
  if (registrationCount() > before) loaded.add(path);
  if (layers.length > 0 || loaded.has(path)) return;
  throw new UsageError(
    `--layers ${path}: expected a module that makes layers known, got one that does not. Export them, export default [{ className, spec, kernel }], which also works where the module has a keras-finetune of its own.`,
    "layers-none",
    "layers",
  );
}

async function load(path: string): Promise<Readonly<Record<string, unknown>>> {
  const file = resolve(path);
  if (!existsSync(file)) {
    throw new UsageError(`--layers ${path}: expected a module, got no such file.`, "layers-file", "layers");
  }
  try {
    return (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const isUnread = (error as NodeJS.ErrnoException).code === "ERR_UNKNOWN_FILE_EXTENSION";
    const reason = isUnread
      ? `got ${extname(file)}, which Node ${process.versions.node} does not read. Node 22.18 and later read .ts; compile it to .js for others`
      : `got ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`;
    throw new UsageError(
      `--layers ${path}: expected a module that can be loaded, ${reason}.`,
      "layers-module",
      "layers",
    );
  }
}
