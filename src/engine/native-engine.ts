import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import util from "node:util";
import { MachineError } from "../errors.ts";
import type { Tuple } from "../tensor.ts";
import { bindingPackage, engineHome, installedEngine } from "./home.ts";
import { loadTensorFlow } from "./native-loader.ts";
import { namingMemory } from "./out-of-memory.ts";
import type { Precision } from "./precision.ts";
import { setMathMode } from "./precision.ts";
import { requireWithOurTfjs } from "./shared-tfjs.ts";
import { tf } from "./tf.ts";

/** An attribute of an operation in the binding's form. */
export interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: boolean | number | string | readonly number[] | object;
}

/** The part of the C++ binding that is called directly. It represents tensors by ids. */
export interface NativeBinding {
  readonly TF_Version: string;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_INT64: number;
  readonly TF_BOOL: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
  createTensor(shape: readonly number[], dtype: number, values: ArrayBufferView): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  executeOp(
    name: string,
    attributes: readonly OpAttribute[],
    inputIds: readonly number[],
    outputs: number,
  ): NativeTensor[];
  /** Loads a saved model from a folder. Tags are separated by commas, as the names of nodes below are. */
  loadSavedModel(folder: string, tags: string): number;
  runSavedModel(id: number, inputIds: readonly number[], inputs: string, outputs: string): NativeTensor[];
  deleteSavedModel(id: number): void;
}

/** A tensor as the binding returns it. */
export interface NativeTensor {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** tfjs-node's backend, which runs any TensorFlow operation by name on tensors of this process. */
export interface NativeBackend extends tf.KernelBackend {
  readonly binding: NativeBinding;
  readonly isUsingGpuDevice: boolean;
  /** Returns the binding's ids of tensors, to which it passes those that it does not have yet. */
  getInputTensorIds(tensors: readonly tf.TensorInfo[]): number[];
  createOutputTensor(result: NativeTensor): tf.Tensor;
  /**
   * Tensors by data id. If the `values` of a tensor have not been passed to the binding yet, they and `dtype` define
   * it.
   */
  readonly tensorMap: { get(dataId: object): { dtype: number; values: ArrayBufferView | null } };
  executeSingleOutput(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly tf.TensorInfo[],
  ): tf.Tensor;
  executeMultipleOutputs<Count extends number>(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly tf.TensorInfo[],
    outputs: Count,
  ): Tuple<tf.Tensor, Count>;
}

/** A native engine that may load: the folder where it was found, or the reason why there is none. */
export interface NativeCandidate {
  readonly origin: "setup" | "project";
  /** tfjs-node's package folder, undefined if there is none. */
  readonly path: string | undefined;
  readonly missing: string;
}

/** Options of the native engine. */
export interface NativeOptions {
  readonly threads: number;
  readonly verbose: boolean;
  readonly precision: Precision;
}

type Operand = tf.Tensor | number;

const chainedOperations: Readonly<Record<string, (this: tf.Tensor, other: Operand) => tf.Tensor>> = {
  add(other) {
    return tf.add(this, other);
  },
  sub(other) {
    return tf.sub(this, other);
  },
  mul(other) {
    return tf.mul(this, other);
  },
  toInt() {
    return tf.cast(this, "int32");
  },
  toFloat() {
    return tf.cast(this, "float32");
  },
};

/** The name under which tfjs-node's backend is registered. */
export const nativeBackendName = "tensorflow";

const require = createRequire(import.meta.url);

/** Lists the places where a native engine may be, the preferred place first. */
export function nativeCandidates(): readonly NativeCandidate[] {
  const home = engineHome();
  const installed = installedEngine(home);
  return [
    {
      origin: "setup",
      path: installed && bindingPackage(join(home, installed.folder)),
      missing: `nothing laid by \`finetune setup\` in ${home}`,
    },
    { origin: "project", path: projectPackage(), missing: "@tensorflow/tfjs-node is not installed" },
  ];
}

/**
 * Loads the backend in `folder`, which computes on `threads` processors, and registers it and its kernels with our tfjs.
 * The caller sets the backend.
 * @returns TensorFlow's version.
 * @throws {MachineError} if the binding is not built or does not load.
 */
export function loadNativeEngine(folder: string, { threads, verbose, precision }: NativeOptions): string {
  const bindingFile = findBinding(folder);
  setMathMode(precision);
  if (!verbose) process.env["TF_CPP_MIN_LOG_LEVEL"] ??= "3";
  limitThreads(threads);
  if (!verbose) loadTensorFlow(folder);
  restoreRemovedUtilities();
  const binding = loadBinding(bindingFile);
  const modules = requireWithOurTfjs(folder, () => {
    const load = createRequire(join(folder, "package.json"));
    load("./dist/register_all_kernels.js");
    return load("./dist/nodejs_kernel_backend.js") as {
      NodeJSKernelBackend: new (binding: NativeBinding, name: string) => NativeBackend;
    };
  });
  if (tf.findBackendFactory(nativeBackendName)) tf.removeBackend(nativeBackendName);
  tf.registerBackend(
    nativeBackendName,
    () => new modules.NodeJSKernelBackend(binding, "@tensorflow/tfjs-node"),
    3,
  );
  return binding.TF_Version;
}

/**
 * Limits TensorFlow's two pools, which are made when it loads: the one that an operation is divided among, and the one on which operations
 * of a graph run beside each other. Each has a thread for every processor by default.
 */
function limitThreads(threads: number): void {
  if (threads === availableParallelism()) return;
  for (const pool of ["INTRAOP", "INTEROP"]) process.env[`TF_NUM_${pool}_THREADS`] = String(threads);
}

/** Returns the native backend if it is the current one, else undefined. */
export function nativeBackend(): NativeBackend | undefined {
  return tf.getBackend() === nativeBackendName ? (tf.backend() as NativeBackend) : undefined;
}

function projectPackage(): string | undefined {
  try {
    return dirname(require.resolve("@tensorflow/tfjs-node/package.json"));
  } catch {
    return undefined;
  }
}

function findBinding(folder: string): string {
  const lib = join(folder, "lib");
  const supported = Number(process.versions["napi"] ?? 8);
  const versions = (existsSync(lib) ? readdirSync(lib) : [])
    .map((name) => Number(/^napi-v(\d+)$/.exec(name)?.[1]))
    .filter((version) => version <= supported)
    .sort((a, b) => b - a);
  const files = versions.map((version) => join(lib, `napi-v${version}`, "tfjs_binding.node"));
  const found = files.find((file) => existsSync(file));
  if (!found) {
    throw new MachineError(
      `${folder}: native engine: expected lib/napi-v*/tfjs_binding.node, got none. Run \`finetune setup\`.`,
      "engine-not-built",
    );
  }
  return found;
}

function loadBinding(file: string): NativeBinding {
  try {
    const binding = require(file) as NativeBinding;
    const executeOp = (...call: Parameters<NativeBinding["executeOp"]>): unknown =>
      namingMemory(() => binding.executeOp(...call));
    return Object.create(binding, { executeOp: { value: executeOp } }) as NativeBinding;
  } catch (error) {
    throw new MachineError(
      `${file}: native engine: expected it to load, got "${(error as Error).message}". Run \`finetune setup\`.`,
      "engine-not-loadable",
    );
  }
}

/**
 * Restores two of Node's utilities that Node 23 removed, and five tensor methods that tfjs-core leaves out: tfjs-node
 * uses them.
 */
function restoreRemovedUtilities(): void {
  const methods = tf.Tensor.prototype as unknown as Record<string, unknown>;
  for (const [name, method] of Object.entries(chainedOperations)) methods[name] ??= method;
  const utilities = util as unknown as Record<string, unknown>;
  utilities["isNullOrUndefined"] ??= (value: unknown) => value === null || value === undefined;
  utilities["isArray"] ??= Array.isArray;
}

/** Reads the version in `folder`'s package.json. */
export function packageVersion(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string }).version;
}
