import { defineConfig } from "vitest/config";

/** `npm run test:hostile`: MUTANTS (500) damaged files made from SEED (1), each read in a process that is watched. */
export default defineConfig({
  test: {
    include: ["test/hostile/*.hostile.ts"],
    globalSetup: ["test/build.ts"],
    pool: "forks",
    testTimeout: 7_200_000,
    hookTimeout: 120_000,
  },
});
