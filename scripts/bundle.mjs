#!/usr/bin/env node
/**
 * Bundles the two entries of the package, the two threads of the command line and the one that reads images into dist/bundle, which npm publishes: Node reads a few
 * files in a third of the time that it needs for some 800. Packages stay outside. dist/ itself has the types, and a file for each module, which
 * benchmarks and tests import.
 *
 *     npm run build             after tsc, which checks the types
 */
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));
const dir = `${root}dist/bundle`;

/** Writes the bundle of the entries, a file each and the files that they share. */
async function write(input, output = {}) {
  const bundle = await rolldown({ cwd: root, platform: "node", input, external: /^[^./]/ });
  await bundle.write({ dir, format: "esm", chunkFileNames: "[name].js", ...output });
  await bundle.close();
}

rmSync(dir, { recursive: true, force: true });
// Entries share their modules, and with them the engine and the registered layers. A process that is kept warm runs the top of work.ts
// again, and nothing that it imports.
await write(
  { index: "src/index.ts", tfjs: "src/tfjs.ts", work: "src/cli/work.ts" },
  {
    codeSplitting: {
      groups: [
        { name: "library", test: /src[\\/](?!cli[\\/])/, priority: 1 },
        { name: "command-line", test: /src[\\/]cli[\\/](?!work\.)/ },
      ],
    },
  },
);
// The thread that starts the work and the one that reads images share nothing with it.
await write({ main: "src/cli/main.ts" });
await write({ "reading-work": "src/data/reading-work.ts" });
