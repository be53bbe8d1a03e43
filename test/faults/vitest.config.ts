import { defineConfig } from "vitest/config";

/** `npm run test:faults`: KILLS (5) kills at moments that SEED (1) draws, and every other fault; one file after the other. */
export default defineConfig({
  test: {
    include: ["test/faults/*.faults.ts"],
    globalSetup: ["test/faults/built-copy.ts"],
    pool: "forks",
    reporters: ["verbose"],
    fileParallelism: false,
    testTimeout: 7_200_000,
    hookTimeout: 600_000,
  },
});
