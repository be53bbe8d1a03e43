/**
 * @file The WebAssembly backend's own build for several threads, whose kernels divide their results between them: every
 * value is computed by one thread as in a build for one, so results are equal to the bit. tfjs does not start it in Node
 * (tensorflow/tfjs#3830): its workers are made from a URL that Node does not take, and it uses half of the processors.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";

type BackendPackage = typeof import("@tensorflow/tfjs-backend-wasm");

/** Loads the backend's package, which registers the backend and its kernels. Only a process that computes on wasm needs it. */
export function backendPackage(): BackendPackage {
  return createRequire(import.meta.url)("@tensorflow/tfjs-backend-wasm") as BackendPackage;
}

/** The most threads that the build divides a kernel between. */
export const mostWasmThreads = 8;

/** A function of the binary, called with numbers. */
type Exported = (...values: number[]) => number;

/** The part of Emscripten's module that starts threads. */
interface ThreadedModule {
  readonly wasmMemory: { readonly buffer: SharedArrayBuffer };
  readonly PThread: { readonly unusedWorkers: Worker[]; readonly runningWorkers: Worker[] };
  cwrap(name: string, result: "number" | null, parameters: readonly "number"[]): Exported;
}

interface Instantiated {
  readonly instance: object;
  readonly module: object;
}

interface ModuleConfig {
  locateFile(file: string): string | URL;
  /** Instantiates the binary, for which the workers of all threads wait. It is called as a method of the module. */
  instantiateWasm(
    this: ThreadedModule,
    imports: { readonly env: Record<string, unknown> },
    receive: (instance: object, module: object) => void,
  ): object;
}

type ModuleFactory = (config: ModuleConfig) => Promise<ThreadedModule>;

/** Node's WebAssembly, whose types come with a browser's alone. */
const { WebAssembly: assembly } = globalThis as unknown as {
  readonly WebAssembly: { instantiate(binary: Uint8Array, imports: object): Promise<Instantiated> };
};

/** The backend, and the choice between one thread and all of them for the kernels that come. */
export interface ThreadedBackend {
  readonly backend: BackendWasm;
  /** Makes kernels divide their results between all threads, or compute them on the caller's. */
  divide(all: boolean): void;
}

/**
 * Creates the backend with `threads` threads, from 2 to `mostWasmThreads`, one of which is the caller's. The others end
 * with the process and do not keep it alive.
 * @param folder Folder of the backend's package.
 * @throws whatever keeps a thread from starting.
 */
export async function createThreadedBackend(folder: string, threads: number): Promise<ThreadedBackend> {
  const require = createRequire(join(folder, "package.json"));
  const script = join(folder, "wasm-out", "tfjs-backend-wasm-threaded-simd.js");
  const binary = readFileSync(join(folder, "dist", "tfjs-backend-wasm-threaded-simd.wasm"));
  const { wasmWorkerContents } = require(script.replace(/\.js$/, ".worker.js")) as {
    wasmWorkerContents: string;
  };
  const worker = workerUrl(wasmWorkerContents, script);
  const ownWorker = Object.getOwnPropertyDescriptor(globalThis, "Worker");
  try {
    const module = await new Promise<ThreadedModule>((resolve, reject) => {
      (require(script) as ModuleFactory)({
        locateFile: (file) => (file.endsWith(".worker.js") ? worker : file),
        instantiateWasm(imports, receive) {
          const workers = this.PThread.unusedWorkers;
          for (const surplus of workers.splice(threads - 1)) surplus.on("error", () => {}).terminate();
          imports.env["emscripten_num_logical_cores"] = () => 2 * threads;
          Promise.all([
            assembly.instantiate(binary, imports),
            ...workers.map((one) => once(one, "online")),
          ]).then(([{ instance, module: compiled }]) => receive(instance, compiled), reject);
          return {};
        },
      }).then(resolve, reject);
    });
    const functions = backendFunctions(module);
    Object.assign(module, { tfjs: functions });
    const { BackendWasm: Backend, setThreadsCount } = backendPackage();
    setThreadsCount(threads);
    const backend = new Backend(module as never);
    for (const running of module.PThread.runningWorkers) running.unref();
    return { backend, divide: poolSwitch(module, functions, threads) };
  } finally {
    if (ownWorker) Object.defineProperty(globalThis, "Worker", ownWorker);
    else Reflect.deleteProperty(globalThis, "Worker");
  }
}

/** Returns the URL of a module that runs the backend's script of a worker, which is not a module, in a worker of Node. */
function workerUrl(contents: string, script: string): URL {
  const source = [
    'import { createRequire } from "node:module";',
    'import { runInThisContext } from "node:vm";',
    `globalThis.__filename = ${JSON.stringify(script)};`,
    "globalThis.require = createRequire(globalThis.__filename);",
    `runInThisContext(${JSON.stringify(contents.replaceAll("\n", "\\n"))});`,
  ];
  return new URL(`data:text/javascript,${encodeURIComponent(source.join("\n"))}`);
}

type BackendFunctions = ReturnType<typeof backendFunctions>;

/** Returns the functions of the binary that the backend calls. */
function backendFunctions(module: ThreadedModule) {
  return {
    init: module.cwrap("init", null, []),
    initWithThreadsCount: module.cwrap("init_with_threads_count", null, ["number"]),
    getThreadsCount: module.cwrap("get_threads_count", "number", []),
    registerTensor: module.cwrap("register_tensor", null, ["number", "number", "number"]),
    disposeData: module.cwrap("dispose_data", null, ["number"]),
    dispose: module.cwrap("dispose", null, []),
  };
}

/** Words of the memory's beginning that hold the binary's variables. */
const variableWords = 2 ** 18;

/**
 * Returns a function that switches between the pool of all threads and a pool of one. The binary keeps the current pool in
 * a variable that it does not export: the word that changes when another pool is made, and that the number of threads
 * follows.
 * @throws {Error} if there is no such word.
 */
function poolSwitch(
  module: ThreadedModule,
  { initWithThreadsCount, getThreadsCount }: BackendFunctions,
  threads: number,
): (all: boolean) => void {
  const variables = (): Int32Array => new Int32Array(module.wasmMemory.buffer, 0, variableWords);
  const whole = variables().slice();
  initWithThreadsCount(1);
  const single = variables().slice();
  const holdsPool = (word: number): boolean => {
    variables()[word] = whole[word]!;
    const follows = getThreadsCount() === threads;
    variables()[word] = single[word]!;
    return follows;
  };
  const place = single.findIndex((value, word) => value !== whole[word] && holdsPool(word));
  if (place < 0) throw new Error("the WebAssembly binary has no pool of threads that can be switched");
  const pool = new Int32Array(module.wasmMemory.buffer, place * Int32Array.BYTES_PER_ELEMENT, 1);
  return (all) => {
    pool[0] = (all ? whole : single)[place]!;
  };
}
