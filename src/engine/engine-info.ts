/** @file The description of an engine. */
import type { Precision } from "./precision.ts";

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

/** Returns the versions that an engine's numbers may depend on: another GPU or driver rounds in other places. */
export function engineVersion({ tfjs, tensorflow, adapter, driver, onnx, precision }: EngineInfo): string {
  if (tensorflow !== undefined) return precision === "bf16" ? `${tensorflow} bf16` : tensorflow;
  return [tfjs, adapter, driver, onnx && `onnxruntime ${onnx}`]
    .filter((part) => part !== undefined)
    .join(" ");
}
