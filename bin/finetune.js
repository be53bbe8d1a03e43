#!/usr/bin/env node
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

if (isReady()) {
  await import("../dist/bundle/main.js");
} else {
  const folder = fileURLToPath(new URL("..", import.meta.url));
  console.error(`${folder}: expected its packages and its build, got a fresh clone. Run "npm ci" there.`);
  process.exitCode = 1;
}

/** Returns whether the packages are installed and the sources are built. */
function isReady() {
  try {
    import.meta.resolve("yargs");
    return existsSync(new URL("../dist/bundle/main.js", import.meta.url));
  } catch {
    return false;
  }
}
