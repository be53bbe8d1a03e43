import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { CallDescription, NamedArgument } from "./description.ts";
import type { NameTensor } from "./keras3-calls.ts";

/** Stands in place of a layer's name before a constant. */
const constantMark = "_CONSTANT_VALUE";

/**
 * Reads an entry of `inbound_nodes` of Keras 1 and 2: `[["x", 0, 0, {kwargs}], …]`, a single `["x", 0, 0, {kwargs}]`
 * (TensorFlow operations), or these in lists and records. Every tensor repeats the keyword arguments, in which a tensor
 * is `["x", 0, 0]`.
 */
export function readKeras2Call(
  node: Json,
  nameTensor: NameTensor,
  isLayer: (name: string) => boolean,
): CallDescription {
  const first = firstEntry(node);
  const kwargs = first && isObject(first[3]) ? first[3] : {};
  const argument = readInputs(node, nameTensor);
  const [lone, ...others] = argument.kind === "list" ? argument.items : [];
  return {
    args: [lone && others.length === 0 ? lone : argument],
    kwargs: Object.fromEntries(
      Object.entries(kwargs).map(([name, value]) => [name, readKeyword(value, nameTensor, isLayer)]),
    ),
  };
}

function readInputs(json: Json, nameTensor: NameTensor): NamedArgument {
  if (isEntry(json)) {
    if (json[0] === constantMark) return { kind: "value", value: json[2] ?? null };
    return { kind: "tensor", tensor: nameTensor(json[0], Number(json[1]), Number(json[2])) };
  }
  if (Array.isArray(json)) {
    return { kind: "list", items: (json as readonly Json[]).map((item) => readInputs(item, nameTensor)) };
  }
  if (isObject(json))
    return { kind: "record", entries: mapEntries(json, (item) => readInputs(item, nameTensor)) };
  return { kind: "value", value: json };
}

function readKeyword(json: Json, nameTensor: NameTensor, isLayer: (name: string) => boolean): NamedArgument {
  if (isEntry(json) && isLayer(json[0])) return readInputs(json, nameTensor);
  if (Array.isArray(json)) {
    const items = (json as readonly Json[]).map((item) => readKeyword(item, nameTensor, isLayer));
    return items.some((item) => item.kind !== "value")
      ? { kind: "list", items }
      : { kind: "value", value: json };
  }
  if (isObject(json)) {
    const entries = mapEntries(json, (item) => readKeyword(item, nameTensor, isLayer));
    return Object.values(entries).some((entry) => entry.kind !== "value")
      ? { kind: "record", entries }
      : { kind: "value", value: json };
  }
  return { kind: "value", value: json };
}

function mapEntries(json: JsonObject, read: (item: Json) => NamedArgument): Record<string, NamedArgument> {
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, read(item)]));
}

/** A tensor in a config: layer, index of its call, index of the output (or a constant), keyword arguments. */
type Entry = readonly [string, number, Json, Json?];

function isEntry(json: Json): json is Entry & Json {
  return (
    Array.isArray(json) &&
    json.length >= 3 &&
    typeof json[0] === "string" &&
    Number.isInteger(json[1] as number)
  );
}

function firstEntry(json: Json): Entry | undefined {
  if (isEntry(json)) return json;
  const items: readonly Json[] = Array.isArray(json) ? json : isObject(json) ? Object.values(json) : [];
  for (const item of items) {
    const entry = firstEntry(item);
    if (entry) return entry;
  }
  return undefined;
}
