import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

/**
 * Tests that need a process of their own: they choose an engine, mock a module, or load tfjs-layers, whose copy of tfjs changes
 * what others see. All other files of a room share a process, which halves the time that they take.
 */
const alone = ["cli", "engine", "features", "formats/tfjs"].map((room) => `test/${room}/**/*.test.ts`);

/** Files of many processes, browsers and kills, each several seconds long: `npm test` leaves them to `npm run test:all`. */
const slow = [
  "test/cli/flags.test.ts",
  "test/cli/interrupt.test.ts",
  "test/cli/left-behind.test.ts",
  "test/cli/nothing-lost.test.ts",
  "test/cli/public-situations.test.ts",
  "test/cli/terminal.test.ts",
  "test/cli/texts.test.ts",
  "test/cluster/kubernetes.test.ts",
  "test/formats/hub/texts.test.ts",
  "test/engine/simd-binary.test.ts",
  "test/report/real-runs.test.ts",
  "test/sweep.test.ts",
];

/** `vitest run` runs a sample of each battery and leaves out `*.all.test.ts` and what is slow; `vitest run --mode all` runs everything. */
export default defineConfig(({ mode }) => {
  // The projects below load this file again without the mode, so the environment carries it on.
  process.env["KERAS_FINETUNE_TESTS"] ??= mode === "all" ? "all" : "sample";
  const isWhole = process.env["KERAS_FINETUNE_TESTS"] === "all";
  // The tarball, the docs and all but one file of the command line run on wasm whatever the engine: once is enough.
  const isNative = process.env["KERAS_FINETUNE_ENGINE"] === "native";
  // Files run beside each other, one for each processor.
  if (!isNative) process.env["KERAS_FINETUNE_THREADS"] ??= "1";
  const exclude = [
    "test/parity/**",
    "test/webgpu/**",
    ...(isWhole ? [] : slow),
    ...(isWhole && !isNative ? [] : ["test/**/*.all.test.ts"]),
    ...(isNative ? ["test/cli/!(interrupt).test.ts", "test/cluster/**"] : []),
  ];
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
        {
          extends: true,
          test: {
            name: "shared",
            include: ["test/*/**/*.test.ts"],
            exclude: [...exclude, ...alone],
            isolate: false,
          },
        },
        { extends: true, test: { name: "alone", include: ["test/*.test.ts", ...alone], exclude } },
      ],
    },
  };
});
