import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";

/** A node of a TensorFlow graph, in the JSON of its protocol buffer: whole numbers and bytes are strings. */
export interface GraphNodeJson {
  readonly name: string;
  readonly op: string;
  /** Names of nodes, `name:1` for another output than the first, `^name` for control. */
  readonly input: readonly string[];
  readonly attr: JsonObject;
}

/** @throws {TopologyError} for a list of anything but nodes. */
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

/** The node that an input names: without output and control mark. */
export function nodeName(input: string): string {
  return input.replace(/^\^/, "").replace(/:\d+$/, "");
}

/** The nodes that `outputs` are computed from, themselves among them, in their order. */
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

/** A text in an attribute, which is base64 there. */
export function textAttribute(json: Json | undefined): string | undefined {
  const bytes = isObject(json) ? json["s"] : undefined;
  return typeof bytes === "string" ? atob(bytes) : undefined;
}
