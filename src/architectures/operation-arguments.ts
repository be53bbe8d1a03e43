import type { Json, JsonObject } from "../checkpoint.ts";
import { isObject } from "../topology/config-values.ts";
import type { Argument } from "../topology/layer-graph.ts";
import type { Output } from "./network-output.ts";
import { tensor } from "./network-output.ts";

/** Argument of an operation of keras.ops: an output, a list of outputs, or a constant. */
export type OperationArgument = Output | readonly Output[] | Json;

/** Returns an argument as the spec of an operation takes it, the places of tensors left out. */
export function describedArgument(arg: OperationArgument): Argument {
  if (isOutput(arg)) return { kind: "tensor", ref: { node: 0, output: 0 } };
  if (isOutputs(arg)) return { kind: "list", items: arg.map(describedArgument) };
  return { kind: "value", value: isArray(arg) ? arrayIn(arg) : arg };
}

/** Returns the JSON of an argument of a call. */
export function written(arg: OperationArgument): Json {
  if (isOutput(arg)) return tensor(arg);
  return isOutputs(arg) ? arg.map(tensor) : arg;
}

export function isOutput(arg: OperationArgument): arg is Output {
  return isObject(arg as Json) && "layer" in (arg as JsonObject);
}

export function isOutputs(arg: OperationArgument): arg is readonly Output[] {
  return Array.isArray(arg) && arg.length > 0 && arg.every((item: OperationArgument) => isOutput(item));
}

function isArray(arg: Json): arg is JsonObject {
  return isObject(arg) && arg["class_name"] === "__numpy__";
}

function arrayIn({ config }: JsonObject): Json {
  return (config as JsonObject)["value"] ?? null;
}

/** Returns a constant of whole numbers as an argument of a call. */
export function integerArray(value: Json): JsonObject {
  return { class_name: "__numpy__", config: { value, dtype: "int32" } };
}

/** Returns a constant of real numbers as an argument of a call. */
export function floatArray(value: Json): JsonObject {
  return { class_name: "__numpy__", config: { value, dtype: "float32" } };
}

/** Returns the index of a GetItem (`x[:, 0:2]`): `[start, stop]` or `[start, stop, step]` for a range, null for all, a number for one. */
export function indexOf(...keys: readonly (number | null | readonly (number | null)[])[]): Json {
  return keys.map((key) => {
    if (typeof key === "number") return key;
    const [start = null, stop = null, step = null] = key ?? [];
    return { class_name: "__slice__", config: { start, stop, step } };
  });
}
