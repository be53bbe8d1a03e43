import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";
import type { KerasMajor } from "../layer-graph.ts";

/** Entry of a model in a config, outermost or nested. */
export interface ModelEntry {
  readonly kind: "functional" | "sequential";
  readonly name: string;
  readonly json: JsonObject;
  readonly config: JsonObject;
  readonly layers: readonly Json[];
}

/** A layer or nested model that can be called. */
interface Callable {
  readonly name: string;
  readonly json: JsonObject;
  readonly model?: ModelEntry;
}

/**
 * Converts node indices to calls of a layer. Each function throws a TopologyError naming the reader if there is no such
 * call.
 */
export interface NodeIndices {
  isLayer(name: string): boolean;
  inbound(layer: string, node: number, reader: string): number;
  endpoint(layer: string, node: number, reader: string): number;
}

/**
 * Returns the conversion of node indices for one model. Calls and node indices count from 0, but a nested model may
 * have a node of its own before its calls. In Keras 1 and 2 all indices to that model are then one higher. In Keras 3
 * those in `input_layers` and `output_layers` are one higher for a functional model, and those in `inbound_nodes` are
 * not (`get_config` and `serialize_node` of `keras/src/models/functional.py`).
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
        `${reader}: input: expected an output of a layer of the same model, got one of "${name}", which does not exist.`,
        "dangling-reference",
      );
    }
    const count = callCount(layer);
    const call = node - (layer.model ? offset(layer) : 0);
    if (Number.isInteger(call) && call >= 0 && call < count) return call;
    // Early releases counted differently. With a single call the index is unambiguous.
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
 * Returns the highest node index that refers to each nested model. Every call leads to an output, so the indices are
 * exactly 0 to n-1, or 1 to n if the nested model has a node of its own.
 */
function highestIndices(layers: readonly Callable[], model: JsonObject): Map<string, number> {
  const highest = new Map<string, number>(
    layers.flatMap((layer) => (layer.model ? [[layer.name, -1] as const] : [])),
  );
  if (highest.size === 0) return highest;
  const visit = (json: Json | undefined): void => {
    if (Array.isArray(json)) {
      const [name, node]: readonly Json[] = json;
      const known = typeof name === "string" ? highest.get(name) : undefined;
      if (typeof name === "string" && typeof node === "number" && known !== undefined) {
        highest.set(name, Math.max(known, node));
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
