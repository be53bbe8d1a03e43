import { defineConfig } from "vitest/config";

/** Tests that run a cluster's own software; see docs/cluster.md. */
export default defineConfig({
  test: {
    include: ["test/cluster/*.cluster.ts"],
    globalSetup: ["test/build.ts"],
    pool: "forks",
    testTimeout: 300_000,
    hookTimeout: 120_000,
  },
});
