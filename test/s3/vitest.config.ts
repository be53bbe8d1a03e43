import { defineConfig } from "vitest/config";

/** Tests on a real S3 server; see docs/cluster.md. */
export default defineConfig({
  test: {
    include: ["test/s3/*.s3.ts"],
    globalSetup: ["test/build.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
