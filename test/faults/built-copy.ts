import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setup as build } from "../build.ts";

const root = join(import.meta.dirname, "..", "..");

/**
 * Builds, and copies the command to a place inside the clone that nobody builds into: another build in the middle of a run of hours would
 * end commands with half-written modules. Names it in FINETUNE_COPY, and removes it at the end.
 */
export function setup(): () => void {
  build();
  mkdirSync(join(root, ".cache"), { recursive: true });
  const copy = mkdtempSync(join(root, ".cache", "faults-"));
  // Other users run it too.
  chmodSync(copy, 0o755);
  for (const name of ["bin", "dist", "package.json"])
    cpSync(join(root, name), join(copy, name), { recursive: true });
  process.env["FINETUNE_COPY"] = copy;
  return () => rmSync(copy, { recursive: true, force: true });
}
