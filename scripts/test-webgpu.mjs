#!/usr/bin/env node
/**
 * Runs the tests of the webgpu engine, on this machine's GPU or on SwiftShader, the driver in software that Chromium carries:
 *
 *     npm run test:webgpu             a part of each kind, for CI
 *     npm run test:webgpu -- --all    every layer of the battery
 *
 * `finetune setup --gpu` must have laid the engine.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname } from "node:path";

const drivers = ["/usr/lib/chromium/vk_swiftshader_icd.json", "/opt/google/chrome/vk_swiftshader_icd.json"];

const [mode, ...rest] = process.argv.slice(2);
if ((mode !== undefined && mode !== "--all") || rest.length > 0) {
  console.error(`test-webgpu: expected nothing or --all, got ${process.argv.slice(2).join(" ")}.`);
  process.exit(2);
}

/** Chromium's driver and the Vulkan loader beside it; a GPU of this machine is used where there is no Chromium, or with KEEP_GPU=1. */
function softwareDriver() {
  const driver = process.env.KEEP_GPU ? undefined : drivers.find((file) => existsSync(file));
  if (driver === undefined) return {};
  const folders = [dirname(driver), process.env.LD_LIBRARY_PATH].filter(Boolean);
  return {
    VK_ICD_FILENAMES: driver,
    LD_LIBRARY_PATH: folders.join(":"),
    XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? "/tmp",
  };
}

const { status } = spawnSync(
  process.execPath,
  ["node_modules/vitest/vitest.mjs", "run", "--config", "test/webgpu/vitest.config.ts"],
  {
    stdio: "inherit",
    env: {
      ...process.env,
      ...softwareDriver(),
      KERAS_FINETUNE_ENGINE: "webgpu",
      KERAS_FINETUNE_TESTS: mode === "--all" ? "all" : "sample",
    },
  },
);
process.exit(status ?? 1);
