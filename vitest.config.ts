import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** `vitest run` runs a sample of each battery and leaves out `*.all.test.ts`; `vitest run --mode all` runs everything. */
export default defineConfig(({ mode }) => ({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/build.ts"],
    exclude: ["test/parity/**", ...(mode === "all" ? [] : ["test/**/*.all.test.ts"])],
    env: { KERAS_FINETUNE_TESTS: mode === "all" ? "all" : "sample" },
    pool: "forks",
    // Half of the work is on one thread: two cores have something to do for two.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
}));
