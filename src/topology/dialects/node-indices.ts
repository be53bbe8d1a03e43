import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";
import type { KerasMajor } from "../layer-graph.ts";

/** A model's entry in a config, outermost or nested. */
export interface ModelEntry {
  readonly kind: "functional" | "sequential";
  readonly name: string;
  readonly json: JsonObject;
  readonly config: JsonObject;
  readonly layers: readonly Json[];
}

interface Callable {
  readonly name: string;
  readonly json: JsonObject;
  readonly model?: ModelEntry;
}

/** Which call of a layer a node index means. Each throws a {TopologyError} naming the reader where there is no such call. */
export interface NodeIndices {
  isLayer(name: string): boolean;
  inbound(layer: string, node: number, reader: string): number;
  endpoint(layer: string, node: number, reader: string): number;
}

/**
 * Layers count their calls from 0, and so do their node indices. A nested model may have a node of its own before them: in
 * Keras 1 and 2 then all indices to it are one higher; in Keras 3 those in `input_layers` and `output_layers` are, for a
 * Functional, and those in `inbound_nodes` are not (`keras/src/models/functional.py`, get_config and serialize_node).
 */
export function nodeIndices(layers: readonly Callable[], model: JsonObject, keras: KerasMajor): NodeIndices {
  const callables = new Map(layers.map((layer) => [layer.name, layer]));
  const highest = keras === 3 ? new Map<string, number>() : highestIndices(layers, model);
  const callCount = (layer: Callable): number => {
    const nodes = layer.json["inbound_nodes"];
    // An InputLayer has one node and no calls.
    return Math.max(1, Array.isArray(nodes) ? nodes.length : 1);
  };
  const resolve = (
    name: string,
    node: number,
    reader: string,
    offset: (layer: Callable) => number,
  ): number => {
    const layer = callables.get(name);
    if (!layer) {
      throw new TopologyError(
        `${reader}: input: expected a tensor of a layer of the same model, got one of "${name}", which is none.`,
        "dangling-reference",
      );
    }
    const count = callCount(layer);
    const call = node - (layer.model ? offset(layer) : 0);
    if (Number.isInteger(call) && call >= 0 && call < count) return call;
    // Early releases wrote the other count: with a single call there is no doubt what is meant.
    if (layer.model && count === 1 && (node === 0 || node === 1)) return 0;
    throw new TopologyError(
      `${reader}: input: expected one of the ${count} calls of ${name}, got node ${node}.`,
      "dangling-reference",
    );
  };
  const offsetInKeras2 = (layer: Callable) => (highest.get(layer.name) === callCount(layer) ? 1 : 0);
  return {
    isLayer: (name) => callables.has(name),
    inbound: (layer, node, reader) => resolve(layer, node, reader, keras === 3 ? () => 0 : offsetInKeras2),
    endpoint: (layer, node, reader) =>
      resolve(
        layer,
        node,
        reader,
        keras === 3 ? (to) => (to.model?.kind === "functional" ? 1 : 0) : offsetInKeras2,
      ),
  };
}

/**
 * The highest node index to each nested model. Every call of a layer leads to an output, so the indices are exactly 0 to n-1,
 * or 1 to n where the nested model has a node of its own.
 */
function highestIndices(layers: readonly Callable[], model: JsonObject): Map<string, number> {
  const highest = new Map<string, number>(
    layers.flatMap((layer) => (layer.model ? [[layer.name, -1] as const] : [])),
  );
  if (highest.size === 0) return highest;
  const visit = (json: Json | undefined): void => {
    if (Array.isArray(json)) {
      const [name, node]: readonly Json[] = json;
      if (typeof name === "string" && typeof node === "number" && highest.has(name)) {
        highest.set(name, Math.max(highest.get(name)!, node));
      }
      for (const item of json) visit(item);
    } else if (isObject(json)) {
      for (const item of Object.values(json)) visit(item);
    }
  };
  for (const layer of layers) visit(layer.json["inbound_nodes"]);
  visit(model["output_layers"]);
  return highest;
}
