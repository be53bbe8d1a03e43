import type { Json } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";
import type { NamedArgument } from "./description.ts";
import type { ModelEntry, NodeIndices } from "./node-indices.ts";

/**
 * Reads the inputs or outputs of a functional model: `["x", 0, 0]`, alone or in lists and records.
 * @param prefix Path of the model that contains it with a slash, for errors.
 * @throws {TopologyError} if an entry is malformed.
 */
export function readEndpoints(
  entry: ModelEntry,
  key: "input_layers" | "output_layers",
  indices: NodeIndices,
  prefix: string,
): NamedArgument {
  const where = `${prefix}${entry.name}`;
  const read = (json: Json): NamedArgument => {
    if (Array.isArray(json)) {
      const items: readonly Json[] = json;
      const [layer, node, output] = items;
      if (typeof layer === "string") {
        const call = indices.endpoint(layer, Number(node), `${where}: ${key}`);
        return { kind: "tensor", tensor: { layer, call, output: Number(output) } };
      }
      return { kind: "list", items: items.map(read) };
    }
    if (isObject(json)) {
      return {
        kind: "record",
        entries: Object.fromEntries(Object.entries(json).map(([name, item]) => [name, read(item)])),
      };
    }
    throw new TopologyError(
      `${where}: ${key}: expected [layer, node, output], got ${JSON.stringify(json)}.`,
      "malformed",
    );
  };
  return read(entry.config[key] ?? []);
}
