import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";

/** A node of a TensorFlow graph in the JSON form of its protocol buffer, in which integers and bytes are strings. */
export interface GraphNodeJson {
  readonly name: string;
  readonly op: string;
  /** Names of the input nodes, `name:1` for an output other than the first, `^name` for a control dependency. */
  readonly input: readonly string[];
  readonly attr: JsonObject;
}

/** Reads the nodes of a graph. @throws {TopologyError} if an item is not a node. */
export function graphNodes(json: Json | undefined): readonly GraphNodeJson[] {
  const nodes: readonly Json[] = Array.isArray(json) ? json : [];
  return nodes.map((node) => {
    const { name = null, op = null, input = [], attr = {} } = isObject(node) ? node : {};
    if (typeof name === "string" && typeof op === "string" && isNames(input) && isObject(attr)) {
      return { name, op, input, attr };
    }
    throw new TopologyError(
      `graph: nodes: expected each with name, op, input and attr, got ${JSON.stringify(node).slice(0, 80)}.`,
      "malformed",
    );
  });
}

function isNames(json: Json): json is readonly string[] {
  return Array.isArray(json) && json.every((item: Json) => typeof item === "string");
}

/** Returns the name of the node that an input refers to, without the output and the control mark. */
export function nodeName(input: string): string {
  return input.replace(/^\^/, "").replace(/:\d+$/, "");
}

/** Returns the nodes that `outputs` depend on, including themselves, in their order. */
export function nodesBefore(
  nodes: readonly GraphNodeJson[],
  outputs: readonly string[],
): readonly GraphNodeJson[] {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const wanted = new Set<string>();
  const pending = outputs.map(nodeName);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (wanted.has(name)) continue;
    wanted.add(name);
    pending.push(...(byName.get(name)?.input ?? []).map(nodeName));
  }
  return nodes.filter(({ name }) => wanted.has(name));
}

/** Decodes a string attribute, which is in base64. */
export function textAttribute(json: Json | undefined): string | undefined {
  const bytes = isObject(json) ? json["s"] : undefined;
  return typeof bytes === "string" ? atob(bytes) : undefined;
}
