import { availableParallelism } from "node:os";
import { MachineError, UsageError } from "../errors.ts";
import type { Refuse } from "../options.ts";
import { oneOf, optionError, optionName, optionSetTo, wholeNumber } from "../options.ts";
import { computeInBfloat16 } from "./bfloat16-operations.ts";
import { registerGradients } from "./gradients/rules.ts";
import { registerOwnKernels } from "./kernels/register.ts";
import { loadNativeEngine, nativeBackend, nativeBackendName, nativeCandidates } from "./native-engine.ts";
import { registerNativeKernels } from "./native-kernels.ts";
import { onnxRuntimeVersion } from "./onnx-runtime.ts";
import type { Precision } from "./precision.ts";
import { precisions, processorHere } from "./precision.ts";
import { tf } from "./tf.ts";

export type EngineName = "native" | "webgpu" | "wasm";
export type EngineChoice = "auto" | EngineName;

/** An engine that was not used. */
export interface RejectedEngine {
  readonly name: EngineName;
  /** The place where it was looked for, if there is one. */
  readonly path?: string;
  readonly reason: string;
}

/** The current engine, and the reason for using it. */
export interface EngineInfo {
  readonly name: EngineName;
  /** The version of tfjs-core. */
  readonly tfjs: string;
  /** The version of TensorFlow, for the native engine. */
  readonly tensorflow?: string;
  /** The names that the GPU's driver gives the GPU and itself, for webgpu. */
  readonly adapter?: string;
  readonly driver?: string;
  /** The bytes that one tensor may have at most, for webgpu. */
  readonly largestTensor?: number;
  /** The version of ONNX Runtime that frozen layers run on, beside wasm where `finetune setup --onnx` has installed it. */
  readonly onnx?: string;
  /** The folder that the binding, the GPU's packages or the WebAssembly binary were loaded from. */
  readonly path: string;
  readonly threads: number;
  /** The precision that was asked for; `bf16` changes nothing on a processor without bfloat16. */
  readonly precision: Precision;
  readonly reason: string;
  readonly rejected: readonly RejectedEngine[];
}

export interface EngineOptions {
  /**
   * Processors to compute on, all of them by default; wasm uses at most 8. Takes precedence over
   * `KERAS_FINETUNE_THREADS`.
   */
  readonly threads?: number;
  /**
   * `bf16` multiplies in bfloat16 in convolutions and matrix products, on the native engine and a processor that has it. Defaults to
   * `float32`.
   */
  readonly precision?: Precision;
  /** True to let tfjs and TensorFlow write messages to the console. */
  readonly verbose?: boolean;
}

const choices: readonly EngineChoice[] = ["auto", "native", "webgpu", "wasm"];

let requested: EngineChoice | undefined;
let verbose = false;
let requestedThreads: number | undefined;
let requestedPrecision: Precision = "float32";
let starting: Promise<EngineInfo> | undefined;
let running: EngineInfo | undefined;

/**
 * Selects the engine of this process. `auto` uses the first engine that works: native, webgpu on a real GPU, wasm.
 * Takes precedence over `KERAS_FINETUNE_ENGINE`.
 * @throws {UsageError} for an unknown name, or if another engine already holds tensors.
 *
 * @example
 * useEngine("wasm"); // before the first tensor
 */
export function useEngine(choice: EngineChoice, options: EngineOptions = {}): void {
  checkChoice(choice, optionName("engine"));
  const switches = running !== undefined && choice !== "auto" && choice !== running.name;
  if (switches && tf.memory().numTensors > 0) throw inUse("engine", running?.name ?? "", choice);
  if (options.threads !== undefined) chooseThreads(options.threads);
  if (options.precision !== undefined) choosePrecision(options.precision);
  requested = choice;
  verbose = options.verbose ?? verbose;
  if (switches || !running) starting = undefined;
}

function chooseThreads(threads: number): void {
  wholeNumber(1)(threads, (expected) => optionError("threads", expected, threads));
  if (running && threads !== running.threads && threads !== requestedThreads)
    throw inUse("threads", running.threads, threads);
  requestedThreads = threads;
}

function choosePrecision(precision: Precision): void {
  oneOf(...precisions)(precision, (expected) => optionError("precision", expected, precision));
  if (running && precision !== running.precision) throw inUse("precision", running.precision, precision);
  requestedPrecision = precision;
}

function inUse(
  option: "engine" | "threads" | "precision",
  running: string | number,
  asked: string | number,
): UsageError {
  return new UsageError(
    `${optionName(option)}: expected ${running}, ${option === "precision" ? "in which this process computes" : "which already holds tensors"}, got ${asked}. Call useEngine() before anything else.`,
    "engine-in-use",
    option,
  );
}

/**
 * Returns the current engine, undefined before `ensureEngine`.
 *
 * @example
 * console.log(engineInfo()?.name); // "native", "webgpu" or "wasm", once something was computed
 */
export function engineInfo(): EngineInfo | undefined {
  return running;
}

/**
 * Starts the engine once; later calls return the same engine. Everything that touches tensors awaits it first.
 * @param precision Precision of a run, `auto` for that of `useEngine`; absent where the engine's own will do.
 * @throws {UsageError} for an unknown `KERAS_FINETUNE_ENGINE`, and for a precision that the engine does not compute in.
 * @throws {MachineError} if the requested engine does not work.
 */
export async function ensureEngine(precision?: Precision | "auto"): Promise<EngineInfo> {
  const wanted = precision === undefined || precision === "auto" ? requestedPrecision : precision;
  starting ??= start(wanted).catch((error: unknown) => {
    starting = undefined;
    throw error;
  });
  const engine = await starting;
  if (precision !== undefined && wanted !== engine.precision)
    throw inUse("precision", engine.precision, wanted);
  return engine;
}

/** Returns the versions that an engine's numbers may depend on: another GPU or driver rounds in other places. */
export function engineVersion({ tfjs, tensorflow, adapter, driver, onnx, precision }: EngineInfo): string {
  if (tensorflow !== undefined) return precision === "bf16" ? `${tensorflow} bf16` : tensorflow;
  return [tfjs, adapter, driver, onnx && `onnxruntime ${onnx}`]
    .filter((part) => part !== undefined)
    .join(" ");
}

/** Returns the threads that ONNX Runtime computes frozen layers on; null where the engine does. */
export function onnxThreads(): number | null {
  return running?.onnx === undefined ? null : running.threads;
}

async function start(precision: Precision): Promise<EngineInfo> {
  const { choice, origin } = chosen();
  tf.env().set("PROD", !verbose);
  registerOwnKernels();
  registerGradients();
  const rejected: RejectedEngine[] = [];
  const asked = (name: EngineName): boolean => choice === "auto" || choice === name;
  const native = asked("native") ? await startNative(choice, origin, precision, rejected) : undefined;
  if (!native && precision !== "float32") throw onlyNative(choice, rejected);
  running =
    native ??
    (asked("webgpu") ? await startWebgpu(choice, origin, rejected) : undefined) ??
    (await startWasm(choice, origin, rejected));
  return running;
}

function onlyNative(choice: EngineChoice, rejected: readonly RejectedEngine[]): UsageError {
  const why = rejected.map(({ name, reason }) => `; ${name}: ${reason}`).join("");
  return new UsageError(
    `${optionSetTo("precision", "bf16")}: expected the native engine, which alone computes in bfloat16, got ${choice === "auto" ? "another" : choice}${why}. Leave ${optionName("precision")} out, or run \`finetune setup\`.`,
    "precision-engine",
    "precision",
  );
}

function chosen(): { choice: EngineChoice; origin: string } {
  if (requested) return { choice: requested, origin: "asked for" };
  const variable = process.env["KERAS_FINETUNE_ENGINE"];
  if (!variable) return { choice: "auto", origin: "" };
  return { choice: checkChoice(variable, "KERAS_FINETUNE_ENGINE"), origin: "KERAS_FINETUNE_ENGINE" };
}

/** Returns the number of processors to compute on: as many as asked for, and no more than this process may use. */
function chosenThreads(): number {
  const all = availableParallelism();
  if (requestedThreads !== undefined) return Math.min(requestedThreads, all);
  const variable = process.env["KERAS_FINETUNE_THREADS"];
  if (!variable) return all;
  const refuse: Refuse = (expected) =>
    new UsageError(
      `KERAS_FINETUNE_THREADS: expected ${expected}, got "${variable}".`,
      "option-value",
      "threads",
    );
  return Math.min(wholeNumber(1)(Number(variable), refuse), all);
}

function checkChoice(name: string, where: string): EngineChoice {
  const choice = choices.find((known) => known === name);
  if (choice) return choice;
  throw new UsageError(
    `${where}: unknown engine: expected ${choices.join(", ")}, got "${name}". Choose one of these.`,
    "unknown-engine",
    "engine",
  );
}

async function startNative(
  choice: EngineChoice,
  origin: string,
  precision: Precision,
  rejected: RejectedEngine[],
): Promise<EngineInfo | undefined> {
  const threads = chosenThreads();
  for (const candidate of nativeCandidates()) {
    if (candidate.path === undefined) {
      rejected.push({ name: "native", reason: candidate.missing });
      continue;
    }
    try {
      const tensorflow = loadNativeEngine(candidate.path, { threads, verbose, precision });
      registerNativeKernels();
      await tf.setBackend(nativeBackendName);
      const backend = nativeBackend();
      if (backend && precision === "bf16" && processorHere().bfloat16 === "vector")
        computeInBfloat16(backend);
      return {
        name: "native",
        tfjs: tf.version_core,
        tensorflow,
        path: candidate.path,
        threads,
        precision,
        reason: choice === "native" ? origin : "the first that works",
        rejected,
      };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      rejected.push({ name: "native", path: candidate.path, reason: error.message });
    }
  }
  if (choice !== "native") return undefined;
  throw new MachineError(
    `native engine: expected one that loads, got none (${rejected.map(({ reason }) => reason).join("; ")}). ` +
      "Run `finetune setup`, or use the wasm engine.",
    "no-native-engine",
  );
}

async function startWebgpu(
  choice: EngineChoice,
  origin: string,
  rejected: RejectedEngine[],
): Promise<EngineInfo | undefined> {
  try {
    const { startWebgpuEngine } = await import("./webgpu-engine.ts");
    const gpu = await startWebgpuEngine(choice === "webgpu");
    const reason = choice === "webgpu" ? origin : "the first that works";
    return {
      name: "webgpu",
      tfjs: tf.version_core,
      ...gpu,
      threads: 1,
      precision: "float32",
      reason,
      rejected,
    };
  } catch (error) {
    if (choice === "webgpu" || !(error instanceof MachineError)) throw error;
    rejected.push({ name: "webgpu", reason: error.message });
    return undefined;
  }
}

async function startWasm(
  choice: EngineChoice,
  origin: string,
  rejected: readonly RejectedEngine[],
): Promise<EngineInfo> {
  // The backend and its kernels take a tenth of a second to load, which the other engines save.
  const { startWasmEngine } = await import("./wasm-engine.ts");
  const { path, threads, singleThreaded } = await startWasmEngine(chosenThreads());
  const reason = choice === "wasm" ? origin : "no faster engine works here";
  const onnx = onnxRuntimeVersion();
  return {
    name: "wasm",
    tfjs: tf.version_core,
    ...(onnx !== undefined && { onnx }),
    path,
    threads,
    precision: "float32",
    reason: singleThreaded ? `${reason}; threads do not start here: ${singleThreaded}` : reason,
    rejected,
  };
}
