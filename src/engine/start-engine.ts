/** @file Starts the first engine that works, of those that were asked for. */
import { MachineError, UsageError } from "../errors.ts";
import { optionName, optionSetTo } from "../options.ts";
import { computeInBfloat16 } from "./bfloat16-operations.ts";
import type { EngineChoice, EngineInfo, EngineName, RejectedEngine } from "./engine-info.ts";
import { registerGradients } from "./gradients/rules.ts";
import { registerOwnKernels } from "./kernels/register.ts";
import { loadNativeEngine, nativeBackend, nativeBackendName, nativeCandidates } from "./native-engine.ts";
import { registerNativeKernels } from "./native-kernels.ts";
import { onnxRuntimeVersion } from "./onnx-runtime.ts";
import type { Precision } from "./precision.ts";
import { processorHere } from "./precision.ts";
import { tf } from "./tf.ts";

/** An engine that is asked for, and how it is to compute. */
export interface AskedEngine {
  readonly choice: EngineChoice;
  /** The one who chose it, as `KERAS_FINETUNE_ENGINE`; empty where nobody did. */
  readonly origin: string;
  readonly threads: number;
  readonly precision: Precision;
  /** True to let tfjs and TensorFlow write messages to the console. */
  readonly verbose: boolean;
}

/**
 * Starts the first engine that works.
 * @throws {UsageError} for a precision that no engine asked for computes in.
 * @throws {MachineError} if the engine asked for does not work.
 */
export async function startEngine(wanted: AskedEngine): Promise<EngineInfo> {
  const { choice, precision, verbose } = wanted;
  tf.env().set("PROD", !verbose);
  registerOwnKernels();
  registerGradients();
  const rejected: RejectedEngine[] = [];
  const asked = (name: EngineName): boolean => choice === "auto" || choice === name;
  const native = asked("native") ? await startNative(wanted, rejected) : undefined;
  if (!native && precision !== "float32") throw onlyNative(choice, rejected);
  return (
    native ??
    (asked("webgpu") ? await startWebgpu(wanted, rejected) : undefined) ??
    (await startWasm(wanted, rejected))
  );
}

function onlyNative(choice: EngineChoice, rejected: readonly RejectedEngine[]): UsageError {
  const why = rejected.map(({ name, reason }) => `; ${name}: ${reason}`).join("");
  return new UsageError(
    `${optionSetTo("precision", "bf16")}: expected the native engine, which alone computes in bfloat16, got ${choice === "auto" ? "another" : choice}${why}. Leave ${optionName("precision")} out, or run \`finetune setup\`.`,
    "precision-engine",
    "precision",
  );
}

async function startNative(
  { choice, origin, threads, precision, verbose }: AskedEngine,
  rejected: RejectedEngine[],
): Promise<EngineInfo | undefined> {
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
  { choice, origin }: AskedEngine,
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
  { choice, origin, threads: asked }: AskedEngine,
  rejected: readonly RejectedEngine[],
): Promise<EngineInfo> {
  // The backend and its kernels take a tenth of a second to load, which the other engines save.
  const { startWasmEngine } = await import("./wasm-engine.ts");
  const { path, threads, singleThreaded } = await startWasmEngine(asked);
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
