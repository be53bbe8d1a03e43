import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { Refusal } from "../layer-spec.ts";

/** How a layer was quantized. */
export interface Quantization {
  /** `int8`, `int4`, `float8`, `gptq`, `awq`. */
  readonly mode: string;
  /** Bits of a kernel's value: two of 4 share a byte. */
  readonly bits: number;
  /** How many values of a column share a scale; undefined where all do. */
  readonly blockSize: number | undefined;
  /** How many largest values float8 keeps. */
  readonly historyLength: number;
}

/**
 * By the name of the layer's dtype policy (`int8_from_float32`, `int4/128_from_float32`, `gptq/4/128_from_float32`); undefined where it
 * was not quantized (`keras/src/dtype_policies/dtype_policy.py`).
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

/** The modes that a layer of a class can be quantized to. */
const modes: Readonly<Record<string, readonly string[]>> = {
  Dense: ["int8", "int4", "float8", "gptq", "awq"],
  EinsumDense: ["int8", "int4", "float8", "gptq", "awq"],
  Embedding: ["int8", "int4"],
  ReversibleEmbedding: ["int8", "int4"],
};

/** Where Keras adds the update of LoRA to a quantized kernel, and merges it when it writes. */
const adaptable = ["Dense", "Embedding"];

/** Why a layer cannot be run in the form that it was quantized to. */
export function quantizationRefusal(className: string, config: JsonObject): Refusal | undefined {
  const quantization = quantizationOf(config);
  if (!quantization) return undefined;
  const { mode } = quantization;
  const advice = "Load the model before it was quantized.";
  if (!modes[className]?.includes(mode)) {
    return { reason: `it is quantized to ${mode}, which is not run here`, advice };
  }
  if (config["lora_rank"] != null && !(mode === "int8" && adaptable.includes(className))) {
    return { reason: `it is quantized to ${mode} and has LoRA`, advice };
  }
  const quantizer = inputQuantizer(config);
  return quantizer === null || isPlain(quantizer)
    ? undefined
    : {
        reason: "its input is quantized in a way of its own",
        advice: 'Quantize with the plain mode "int8".',
      };
}

/** Whether the input of a quantized layer is rounded to 8 bits too; where its config does not say, as `usual`. */
export function roundsInput(config: JsonObject, usual: boolean): boolean {
  const quantizer = inputQuantizer(config);
  return quantizer === undefined ? usual : quantizer !== null;
}

function inputQuantizer({ quantization_config: own }: JsonObject): Json | undefined {
  return isObject(own) && isObject(own["config"]) ? own["config"]["activation_quantizer"] : undefined;
}

/** Keras's own way: to whole numbers from -127 to 127 by the largest. */
function isPlain(quantizer: Json | undefined): boolean {
  if (quantizer === undefined) return true;
  if (!isObject(quantizer) || quantizer["class_name"] !== "AbsMaxQuantizer") return false;
  const { value_range, epsilon } = isObject(quantizer["config"]) ? quantizer["config"] : {};
  return JSON.stringify(value_range) === "[-127,127]" && epsilon === 1e-7;
}

/** The config of a fresh layer like this one: neither quantized nor with LoRA. */
export function plainForm(config: JsonObject): JsonObject {
  return {
    ...(quantizationOf(config) !== undefined && { dtype: "float32" }),
    ...(config["lora_rank"] != null && { lora_rank: null, lora_alpha: null }),
  };
}
