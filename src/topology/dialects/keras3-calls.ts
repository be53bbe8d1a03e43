import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { CallDescription, NamedArgument, TensorName } from "./description.ts";

/** Resolves `[layer, node, output]` to a tensor. Node indices count differently in each dialect and place. */
export type NameTensor = (layer: string, node: number, output: number) => TensorName;

/** Reads an entry of `inbound_nodes` of Keras 3: `{ args, kwargs }` with `__keras_tensor__` objects. */
export function readKeras3Call(node: JsonObject, nameTensor: NameTensor): CallDescription {
  const args = Array.isArray(node["args"]) ? (node["args"] as readonly Json[]) : [];
  const kwargs = isObject(node["kwargs"]) ? node["kwargs"] : {};
  return {
    args: args.map((arg) => readArgument(arg, nameTensor)),
    kwargs: Object.fromEntries(
      Object.entries(kwargs).map(([name, value]) => [name, readArgument(value, nameTensor)]),
    ),
  };
}

function readArgument(json: Json, nameTensor: NameTensor): NamedArgument {
  if (Array.isArray(json)) return readList(json, nameTensor);
  if (!isObject(json)) return { kind: "value", value: json };
  const config = json["config"];
  if (isObject(config)) {
    if (json["class_name"] === "__keras_tensor__") return readTensor(config, nameTensor);
    if (json["class_name"] === "__numpy__" || json["class_name"] === "__tensor__") {
      return { kind: "value", value: config["value"] ?? null };
    }
  }
  return readRecord(json, nameTensor);
}

function readTensor(config: JsonObject, nameTensor: NameTensor): NamedArgument {
  const history = config["keras_history"];
  if (!Array.isArray(history)) return { kind: "value", value: null };
  const [layer, node, output]: readonly Json[] = history;
  return { kind: "tensor", tensor: nameTensor(String(layer), Number(node), Number(output)) };
}

function readList(json: readonly Json[], nameTensor: NameTensor): NamedArgument {
  const items = json.map((item) => readArgument(item, nameTensor));
  if (items.some((item) => item.kind !== "value")) return { kind: "list", items };
  return { kind: "value", value: items.map((item) => (item.kind === "value" ? item.value : null)) };
}

/** Reads a record. A slice, an Ellipsis or a dtype policy stays the object that Keras wrote. */
function readRecord(json: JsonObject, nameTensor: NameTensor): NamedArgument {
  const entries = Object.entries(json).map(([key, value]) => [key, readArgument(value, nameTensor)] as const);
  if (entries.every(([, entry]) => entry.kind === "value")) return { kind: "value", value: json };
  return { kind: "record", entries: Object.fromEntries(entries) };
}
