import { defineConfig } from "vitest/config";
import { missing } from "./missing.ts";

export default defineConfig({
  resolve: { alias: { "keras-finetune": new URL("../../src/index.ts", import.meta.url).pathname } },
  test: {
    // The battery of layers and what a bad loss leaves are those of every engine.
    include: [
      "test/webgpu/**/*.test.ts",
      ...(missing === undefined ? ["test/layers/battery.test.ts", "test/training/bad-loss.test.ts"] : []),
    ],
    globalSetup: ["test/build.ts", "test/webgpu/say-missing.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
