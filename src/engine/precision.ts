/** @file bfloat16 arithmetic of convolutions and matrix products on the native engine, where the processor has it. */
import { readFileSync } from "node:fs";
import { optionSetTo } from "../options.ts";

/** Precisions in which convolutions and matrix products multiply. */
export const precisions = ["float32", "bf16"] as const;
/** `bf16` rounds the factors to bfloat16, 8 bits of mantissa, and adds products up in float32. */
export type Precision = (typeof precisions)[number];

/**
 * The part of a processor that multiplies bfloat16: `matrix`, which oneDNN uses by itself in its mode BF16; `vector`, for which
 * operations have to be given bfloat16 tensors; `none`.
 */
export type Bfloat16Unit = "matrix" | "vector" | "none";

/** A processor as `/proc/cpuinfo` describes it. */
export interface Processor {
  /** Its name, empty where the system does not say. */
  readonly name: string;
  readonly bfloat16: Bfloat16Unit;
}

/** Returns this machine's processor; one without bfloat16 where the system does not describe it. */
export function processorHere(): Processor {
  try {
    return processorIn(readFileSync("/proc/cpuinfo", "utf8"));
  } catch {
    return { name: "", bfloat16: "none" };
  }
}

/**
 * Reads the first processor of Linux's `/proc/cpuinfo`. oneDNN computes float32 operations in bfloat16 on Intel's AMX alone, and through
 * Arm's library on processors with `bf16` (https://oneapi-src.github.io/oneDNN/dev_guide_attributes_fpmath_mode.html); with
 * AVX512_BF16 its results stay those of float32 to the bit.
 */
export function processorIn(cpuinfo: string): Processor {
  const valueAfter = (...names: readonly string[]): string => {
    const line = cpuinfo.split("\n").find((each) => names.includes(each.split(":", 1)[0]?.trim() ?? ""));
    return line?.slice(line.indexOf(":") + 1).trim() ?? "";
  };
  const flags = new Set(valueAfter("flags", "Features").split(/\s+/));
  const hasMatrix = flags.has("amx_bf16") || flags.has("bf16");
  const bfloat16 = hasMatrix ? "matrix" : flags.has("avx512_bf16") ? "vector" : "none";
  return { name: valueAfter("model name"), bfloat16 };
}

/** Returns how the processor computes at a precision, as a plan says it; undefined where that is plain float32. */
export function precisionText(precision: Precision, processor?: Processor): string | undefined {
  if (precision === "float32") return undefined;
  const { bfloat16 } = processor ?? processorHere();
  if (bfloat16 === "none") return "bf16  changes nothing on this processor: float32";
  return "bf16  convolutions and matrix products round their factors to bfloat16; weights and activations stay float32";
}

/** Returns what a user of bf16 should hear: that the processor does not have it. */
export function precisionWarnings(precision: Precision, processor?: Processor): string[] {
  if (precision === "float32") return [];
  const { name, bfloat16 } = processor ?? processorHere();
  if (bfloat16 !== "none") return [];
  return [
    `${optionSetTo("precision", "bf16")}: changes nothing on this processor${name && ` (${name})`}: expected AMX_BF16 or AVX512_BF16 in /proc/cpuinfo, got neither. The run computes in float32.`,
  ];
}

/**
 * Sets oneDNN's mode for a precision. It is read once, when TensorFlow loads; a mode that the environment had set before would round
 * what is said to be float32, and is replaced.
 */
export function setMathMode(precision: Precision, processor?: Processor): void {
  const isRounded = precision === "bf16" && (processor ?? processorHere()).bfloat16 === "matrix";
  process.env["ONEDNN_DEFAULT_FPMATH_MODE"] = isRounded ? "BF16" : "STRICT";
}
