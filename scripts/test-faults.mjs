/**
 * `npm run test:faults -- --kills 100 --seed N`: what is killed, filled, lost or changed under a run, and what is left. `--of extract`
 * kills one command alone.
 */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    images: { type: "string" },
    of: { type: "string" },
    figures: { type: "boolean", default: false },
  },
});
for (const name of ["kills", "seed", "images"]) {
  if (values[name] === undefined || /^\d+$/.test(values[name])) continue;
  console.error(`--${name}: expected a whole number, got ${values[name]}`);
  process.exit(2);
}
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const config = join(import.meta.dirname, "..", "test", "faults", "vitest.config.ts");
const { status } = spawnSync(process.execPath, [vitest, "run", "--config", config, ...positionals], {
  cwd: join(import.meta.dirname, ".."),
  stdio: "inherit",
  env: {
    ...process.env,
    KILLS: values.kills,
    SEED: values.seed,
    ...(values.images && { IMAGES: values.images }),
    ...(values.of && { KILLED: values.of }),
    ...(values.figures && { FIGURES: "1" }),
  },
});
process.exit(status ?? 1);
