import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { tf } from "./tf.ts";
import { registerWasmKernels } from "./wasm-kernels/register.ts";

/** The name under which the WebAssembly backend is registered. */
export const wasmBackendName = "wasm";

type ProcessListener = (...parameters: unknown[]) => void;

/** Makes the single-threaded SIMD backend the one in use. Returns the folder its binary came from. */
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

/** The backend installs handlers that turn any uncaught error of the process into one of its own. */
function processListeners(): ProcessListener[] {
  return [
    ...process.listeners("uncaughtException"),
    ...process.listeners("unhandledRejection"),
  ] as ProcessListener[];
}
