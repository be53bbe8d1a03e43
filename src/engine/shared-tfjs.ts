import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(import.meta.url);

/**
 * Calls `load` while the tfjs packages that a backend in `folder` requires are replaced by our tfjs-core. Its kernels
 * need no more than that, and tfjs-node does not load the layers, data and WebGL packages.
 */
export function requireWithOurTfjs<T>(folder: string, load: () => T): T {
  const core = require("@tensorflow/tfjs-core") as object;
  const files = ["@tensorflow/tfjs", "@tensorflow/tfjs-core"]
    .map((name) => resolveFrom(folder, name))
    .filter((file) => file !== undefined && !require.cache[file]) as string[];
  for (const file of files) {
    const standIn = { id: file, filename: file, loaded: true, exports: core, children: [], paths: [] };
    require.cache[file] = standIn as unknown as NodeJS.Module;
  }
  try {
    return load();
  } finally {
    for (const file of files) delete require.cache[file];
  }
}

function resolveFrom(folder: string, name: string): string | undefined {
  try {
    return createRequire(join(folder, "package.json")).resolve(name);
  } catch {
    return undefined;
  }
}
