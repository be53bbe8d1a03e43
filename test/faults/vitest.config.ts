import { defineConfig } from "vitest/config";

/** `npm run test:faults`: KILLS (5) kills at moments that SEED (1) draws, and every other fault; one file after the other. */
export default defineConfig({
  test: {
    include: ["test/faults/*.faults.ts"],
    globalSetup: ["test/build.ts"],
    pool: "forks",
    reporters: ["verbose"],
    fileParallelism: false,
    // On a machine that does other work too.
    env: { KERAS_FINETUNE_READ_SECONDS: "60" },
    testTimeout: 7_200_000,
    hookTimeout: 600_000,
  },
});
