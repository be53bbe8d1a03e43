import { availableParallelism } from "node:os";
import { UsageError } from "../errors.ts";
import type { Refuse } from "../options.ts";
import { oneOf, optionError, optionName, wholeNumber } from "../options.ts";
import type { EngineChoice, EngineInfo } from "./engine-info.ts";
import type { Precision } from "./precision.ts";
import { precisions } from "./precision.ts";
import { startEngine } from "./start-engine.ts";
import { tf } from "./tf.ts";

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

/** Returns the threads that ONNX Runtime computes frozen layers on; null where the engine does. */
export function onnxThreads(): number | null {
  return running?.onnx === undefined ? null : running.threads;
}

async function start(precision: Precision): Promise<EngineInfo> {
  running = await startEngine({ ...chosen(), threads: chosenThreads(), precision, verbose });
  return running;
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
