import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { tf } from "./tf.ts";
import { registerAdamStep } from "./wasm-kernels/adam-step.ts";
import { registerConvolutions } from "./wasm-kernels/convolution.ts";
import { registerConvolutions3d } from "./wasm-kernels/convolution-3d.ts";
import { registerDepthwise } from "./wasm-kernels/depthwise.ts";
import { registerMatrixProduct } from "./wasm-kernels/matrix-product.ts";
import { registerMoving } from "./wasm-kernels/moving.ts";
import { registerPooling } from "./wasm-kernels/pooling.ts";
import { registerReductions, registerSegmentSum } from "./wasm-kernels/reductions.ts";
import { registerResizing } from "./wasm-kernels/resizing.ts";
import { registerStridedSlice } from "./wasm-kernels/strided-slice.ts";

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

let registered = false;

/** Registers the kernels that the WebAssembly backend lacks, computes incorrectly or computes slowly. */
function registerWasmKernels(): void {
  if (registered) return;
  registered = true;
  registerMatrixProduct();
  registerMoving();
  registerReductions();
  registerConvolutions();
  registerConvolutions3d();
  registerDepthwise();
  registerPooling();
  registerResizing();
  registerStridedSlice();
  registerSegmentSum();
  registerAdamStep();
}
