import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { tf } from "./tf.ts";
import { registerWasmKernels } from "./wasm-kernels/register.ts";

/** The name under which the WebAssembly backend is registered. */
export const wasmBackendName = "wasm";

type ProcessListener = (...parameters: unknown[]) => void;

/** Starts the single-threaded SIMD backend as the current one. Returns the folder of its binary. */
export async function startWasmEngine(): Promise<string> {
  const folder = join(
    dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json")),
    "dist",
  );
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  const alreadyThere = new Set(processListeners());
  if (tf.findBackend(wasmBackendName) === null) setWasmPaths(folder + sep);
  await tf.setBackend(wasmBackendName);
  registerWasmKernels();
  for (const listener of processListeners()) {
    if (!alreadyThere.has(listener) && /ExitStatus|throw reason/.test(listener.toString())) {
      process.off("uncaughtException", listener);
      process.off("unhandledRejection", listener);
    }
  }
  return folder;
}

/**
 * Lists the process's handlers of uncaught errors. The backend installs some that replace any such error by one of its
 * own.
 */
function processListeners(): ProcessListener[] {
  return [
    ...process.listeners("uncaughtException"),
    ...process.listeners("unhandledRejection"),
  ] as ProcessListener[];
}
