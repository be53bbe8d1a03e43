import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { Refusal } from "../layer-spec.ts";

/** Quantization of a layer. */
export interface Quantization {
  /** Mode: `int8`, `int4`, `float8`, `gptq` or `awq`. */
  readonly mode: string;
  /** Bits of a value of the kernel. Two values of 4 bits share a byte. */
  readonly bits: number;
  /** Number of values of a column that share a scale, undefined if all do. */
  readonly blockSize: number | undefined;
  /** Length of float8's history of largest values. */
  readonly historyLength: number;
}

/**
 * Parses the name of the layer's dtype policy (`int8_from_float32`, `int4/128_from_float32`, `gptq/4/128_from_float32`;
 * see `keras/src/dtype_policies/dtype_policy.py`). Returns undefined for a layer that is not quantized.
 */
export function quantizationOf(config: JsonObject): Quantization | undefined {
  const policy = config["dtype"];
  const [, name] = (typeof policy === "string" && /^(.+)_from_/.exec(policy)) || [];
  if (name === undefined) return undefined;
  const [mode, ...numbers] = name.split("/") as [string, ...string[]];
  const last = Number(numbers.at(-1) ?? -1);
  return {
    mode,
    bits: mode === "gptq" ? Number(numbers[0]) : mode === "int8" ? 8 : 4,
    blockSize: mode !== "float8" && last > 0 ? last : undefined,
    historyLength: mode === "float8" && last > 0 ? last : 1024,
  };
}

/** Supported quantization modes by layer class. */
const modes: Readonly<Record<string, readonly string[]>> = {
  Dense: ["int8", "int4", "float8", "gptq", "awq"],
  EinsumDense: ["int8", "int4", "float8", "gptq", "awq"],
  Embedding: ["int8", "int4"],
  ReversibleEmbedding: ["int8", "int4"],
};

/** Layer classes in which Keras adds LoRA to an int8 kernel and merges it when it saves. */
const adaptable = ["Dense", "Embedding"];

/** Returns the reason for which a quantized layer cannot be computed, undefined if it can. */
export function quantizationRefusal(className: string, config: JsonObject): Refusal | undefined {
  const quantization = quantizationOf(config);
  if (!quantization) return undefined;
  const { mode } = quantization;
  const advice = "Load the model before it was quantized.";
  if (!modes[className]?.includes(mode)) {
    return { reason: `it is quantized to ${mode}, which is not supported`, advice };
  }
  if (config["lora_rank"] != null && !(mode === "int8" && adaptable.includes(className))) {
    return { reason: `it is quantized to ${mode} and has LoRA`, advice };
  }
  const quantizer = inputQuantizer(config);
  return quantizer === null || isPlain(quantizer)
    ? undefined
    : {
        reason: "its input has a custom quantizer",
        advice: 'Quantize the model with the plain mode "int8".',
      };
}

/**
 * Returns whether the input of a quantized layer is rounded to 8 bits too.
 * @param usual The result for a config without a quantizer.
 */
export function roundsInput(config: JsonObject, usual: boolean): boolean {
  const quantizer = inputQuantizer(config);
  return quantizer === undefined ? usual : quantizer !== null;
}

function inputQuantizer({ quantization_config: own }: JsonObject): Json | undefined {
  return isObject(own) && isObject(own["config"]) ? own["config"]["activation_quantizer"] : undefined;
}

/** Returns whether a quantizer is Keras's default, which scales values to [-127, 127] by the largest one. */
function isPlain(quantizer: Json | undefined): boolean {
  if (quantizer === undefined) return true;
  if (!isObject(quantizer) || quantizer["class_name"] !== "AbsMaxQuantizer") return false;
  const { value_range, epsilon } = isObject(quantizer["config"]) ? quantizer["config"] : {};
  return JSON.stringify(value_range) === "[-127,127]" && epsilon === 1e-7;
}

/** Returns the arguments that turn a config into that of a layer without quantization and LoRA. */
export function plainForm(config: JsonObject): JsonObject {
  return {
    ...(quantizationOf(config) !== undefined && { dtype: "float32" }),
    ...(config["lora_rank"] != null && { lora_rank: null, lora_alpha: null }),
  };
}
