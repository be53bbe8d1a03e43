import { createRequire } from "node:module";
import { dirname, join, sep } from "node:path";
import { refuseWithoutRoom } from "./out-of-memory.ts";
import { tf } from "./tf.ts";
import { registerConvolutions } from "./wasm-kernels/convolution.ts";
import { registerConvolutions3d } from "./wasm-kernels/convolution-3d.ts";
import { registerDepthwise } from "./wasm-kernels/depthwise.ts";
import { registerDivision } from "./wasm-kernels/division.ts";
import { registerElementwise } from "./wasm-kernels/elementwise.ts";
import { registerMatrixProduct } from "./wasm-kernels/matrix-product.ts";
import { registerMoving } from "./wasm-kernels/moving.ts";
import { registerNotANumber } from "./wasm-kernels/not-a-number.ts";
import { registerPooling } from "./wasm-kernels/pooling.ts";
import { registerReductions, registerSegmentSum } from "./wasm-kernels/reductions.ts";
import { registerResizing } from "./wasm-kernels/resizing.ts";
import { registerStridedSlice } from "./wasm-kernels/strided-slice.ts";
import { registerTranspose } from "./wasm-kernels/transpose.ts";
import { registerUpdateSteps } from "./wasm-kernels/update-steps.ts";
import { wasmBackendName } from "./wasm-name.ts";
import { backendPackage, createThreadedBackend, mostWasmThreads } from "./wasm-threads.ts";

type ProcessListener = (...parameters: unknown[]) => void;

/** The WebAssembly backend as it runs. */
export interface WasmEngine {
  /** The folder of its binaries. */
  readonly path: string;
  readonly threads: number;
  /** The error that kept it from running on several threads. */
  readonly singleThreaded?: string;
}

/** Starts the SIMD backend as the current one, on `threads` threads if they start and on one if they do not. */
export async function startWasmEngine(threads: number): Promise<WasmEngine> {
  const folder = dirname(
    createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json"),
  );
  const alreadyThere = new Set(processListeners());
  const path = join(folder, "dist");
  const factory = tf.findBackendFactory(wasmBackendName);
  if (factory === null || factory !== startedFactory) {
    started = await registerBackend(folder, path, threads);
    startedFactory = tf.findBackendFactory(wasmBackendName);
  }
  await tf.setBackend(wasmBackendName);
  registerWasmKernels();
  for (const listener of processListeners()) {
    if (!alreadyThere.has(listener) && /ExitStatus|throw reason/.test(listener.toString())) {
      process.off("uncaughtException", listener);
      process.off("unhandledRejection", listener);
    }
  }
  return { path, ...started };
}

/** Makes the kernels that come use one thread or all of them. */
let chooseThreads: (all: boolean) => void = () => {};

/** Factory of the backend that was started last. */
let startedFactory: ReturnType<typeof tf.findBackendFactory> | null = null;
let started: Omit<WasmEngine, "path"> = { threads: 1 };

async function registerBackend(folder: string, path: string, threads: number): Promise<typeof started> {
  const divided = Math.min(threads, mostWasmThreads);
  const { setWasmPaths } = backendPackage();
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  setWasmPaths(path + sep);
  if (divided > 1) {
    try {
      const { backend, divide } = await createThreadedBackend(folder, divided);
      chooseThreads = divide;
      if (tf.findBackendFactory(wasmBackendName)) tf.removeBackend(wasmBackendName);
      tf.registerBackend(wasmBackendName, () => backend, 2);
      return { threads: divided };
    } catch (error) {
      return { threads: 1, singleThreaded: error instanceof Error ? error.message : String(error) };
    }
  }
  return { threads: 1 };
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

/** Guards the backend's memory, and registers the kernels that it lacks, computes incorrectly or computes slowly. */
function registerWasmKernels(): void {
  if (registered) return;
  registered = true;
  registerDivision((all) => chooseThreads(all));
  registerNotANumber();
  refuseWithoutRoom((tf.backend() as unknown as { wasm: Parameters<typeof refuseWithoutRoom>[0] }).wasm);
  registerMatrixProduct();
  registerMoving();
  registerElementwise();
  registerTranspose();
  registerReductions();
  registerConvolutions();
  registerConvolutions3d();
  registerDepthwise();
  registerPooling();
  registerResizing();
  registerStridedSlice();
  registerSegmentSum();
  registerUpdateSteps();
}
