import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/** Rooms whose tests change nothing that outlives them: their files share a process, which halves what they take. */
const shared = ["architectures", "data", "freeze", "hdf5", "head", "topology", "zip"].map(
  (room) => `test/${room}/**/*.test.ts`,
);

/** `vitest run` runs a sample of each battery and leaves out `*.all.test.ts`; `vitest run --mode all` runs everything. */
export default defineConfig(({ mode }) => {
  // The projects below load this file again without the mode, so the environment carries it on.
  process.env["KERAS_FINETUNE_TESTS"] ??= mode === "all" ? "all" : "sample";
  const isWhole = process.env["KERAS_FINETUNE_TESTS"] === "all";
  const exclude = ["test/parity/**", ...(isWhole ? [] : ["test/**/*.all.test.ts"])];
  return {
    resolve: { alias: { "keras-finetune": new URL("src/index.ts", import.meta.url).pathname } },
    test: {
      globalSetup: ["test/build.ts"],
      pool: "forks",
      // Half of the work is on one thread: two cores have something to do for two.
      maxWorkers: Math.max(2, availableParallelism() - 1),
      testTimeout: 120_000,
      hookTimeout: 120_000,
      projects: [
        { extends: true, test: { name: "shared", include: shared, exclude, isolate: false } },
        {
          extends: true,
          test: { name: "alone", include: ["test/**/*.test.ts"], exclude: [...exclude, ...shared] },
        },
      ],
    },
  };
});
