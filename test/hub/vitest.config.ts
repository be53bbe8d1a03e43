import { defineConfig } from "vitest/config";

/** The checks against living KerasHub, whose Python `install-hub.ts` installs once. */
export default defineConfig({
  test: {
    include: ["test/hub/**/*.check.ts"],
    globalSetup: ["test/hub/install-hub.ts"],
    testTimeout: 300_000,
    hookTimeout: 600_000,
  },
});
