#!/usr/bin/env node
/**
 * Runs a representative part of the tests on each Node that is promised, with npm's `node` package as the way to them:
 *
 *     npm run test:nodes            every version
 *     npm run test:nodes -- 24      one
 */
import { spawnSync } from "node:child_process";

/** The oldest that package.json allows, the long-term ones, and the current one. */
const versions = ["20.19", "22", "24", "26"];

/** What differs between Nodes: files, streams, processes, WebAssembly, loading the engine; every kernel once. */
const files = [
  "test/cli/commands.test.ts",
  "test/cli/interrupt.test.ts",
  "test/data",
  "test/engine",
  "test/features",
  "test/finetune.test.ts",
  "test/formats/fixtures.test.ts",
  "test/hdf5",
  "test/layers/battery.test.ts",
  "test/model/fixtures.test.ts",
  "test/run",
  "test/training/steps.test.ts",
  "test/zip",
];

const asked = process.argv.slice(2);
const unknown = asked.filter((version) => !versions.includes(version));
if (unknown.length > 0) {
  console.error(`test-nodes: version: expected one of ${versions.join(", ")}, got ${unknown.join(", ")}.`);
  process.exit(2);
}

const failed = (asked.length > 0 ? asked : versions).filter((version) => {
  const command = ["node", "node_modules/vitest/vitest.mjs", "run", ...files];
  console.log(`== Node ${version}`);
  const env = { ...process.env, KERAS_FINETUNE_ENGINE: "wasm" };
  const npx = spawnSync("npx", ["--yes", `--package=node@${version}`, "--", ...command], {
    stdio: "inherit",
    env,
  });
  return npx.status !== 0;
});
if (failed.length > 0) {
  console.error(`test-nodes: fails on Node ${failed.join(", ")}.`);
  process.exit(1);
}
