/** @file The addon that `setupEngine` builds to load TensorFlow. An engine without it loads all the same, with one more line on stderr. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { quietLoadFile } from "./home.ts";

/** The addon: a call loads a library. */
interface NativeLoader {
  (library: string): void;
  /** Gives unused memory back to the system. An addon that an earlier version built lacks it. */
  readonly release?: () => void;
}

const require = createRequire(import.meta.url);

let loader: NativeLoader | undefined;

/** Loads TensorFlow itself in advance for the package of tfjs-node in `folder`, so that its first message is not printed. */
export function loadTensorFlow(folder: string): void {
  const addon = quietLoadFile(join(folder, "..", "..", ".."));
  const library = join(folder, "deps", "lib", "libtensorflow_cc.so.2");
  if (!existsSync(addon) || !existsSync(library)) return;
  loader = require(addon) as NativeLoader;
  loader(library);
}

/**
 * Gives memory that nothing uses back to the system: what the C library keeps of freed blocks, and pages of TensorFlow's library,
 * which are mapped again where they are needed. Takes milliseconds; does nothing on other engines.
 */
export function releaseUnusedMemory(): void {
  loader?.release?.();
}
