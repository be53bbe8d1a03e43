import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { Refusal, WeightSpec } from "../layer-spec.ts";
import { ones } from "./variables.ts";

/** How a layer was quantized, by the name of its dtype policy (`int8_from_float32`); undefined where it was not. */
export function quantizationMode(config: JsonObject): string | undefined {
  const policy = config["dtype"];
  return typeof policy === "string" ? /^(.+)_from_/.exec(policy)?.[1] : undefined;
}

/**
 * The weights of a layer that `quantize("int8")` was called on: whole numbers for its kernel, the first of them, and what they were
 * multiplied by. Neither trains. Else the weights as they are.
 */
export function withScale(
  config: JsonObject,
  weights: readonly WeightSpec[],
  scaleShape: readonly number[],
): WeightSpec[] {
  const [kernel, ...others] = weights;
  if (quantizationMode(config) === undefined || !kernel) return [...weights];
  const scale: WeightSpec = {
    name: `${kernel.name}_scale`,
    shape: scaleShape,
    trainable: false,
    initializer: ones,
    regularizer: null,
  };
  return [{ ...kernel, trainable: false, dtype: "int8" }, ...others, scale];
}

/** Why a layer cannot be run in the form that it was quantized to; `known` says whether its class can be at all. */
export function quantizationRefusal(config: JsonObject, known: boolean): Refusal | undefined {
  const mode = quantizationMode(config);
  if (mode === undefined) return undefined;
  const advice = "Load the model before it was quantized.";
  if (mode !== "int8" || !known)
    return { reason: `it is quantized to ${mode}, which is not run here`, advice };
  if (config["lora_rank"] != null) return { reason: "it is quantized and has LoRA", advice };
  const quantizer = inputQuantizer(config);
  return quantizer === null || isPlain(quantizer)
    ? undefined
    : {
        reason: "its input is quantized in a way of its own",
        advice: 'Quantize with the plain mode "int8".',
      };
}

/** Whether the input of a quantized layer is rounded to 8 bits too, as it is unless its config says otherwise. */
export function roundsInput(config: JsonObject): boolean {
  return inputQuantizer(config) !== null;
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
    ...(quantizationMode(config) !== undefined && { dtype: "float32" }),
    ...(config["lora_rank"] != null && { lora_rank: null, lora_alpha: null }),
  };
}
