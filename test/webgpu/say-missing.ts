import { missing } from "./missing.ts";

/** Before any test: says aloud that all of them are skipped, and why. */
export function setup(): void {
  if (missing !== undefined) console.warn(`webgpu: every test is SKIPPED: ${missing}.`);
}
