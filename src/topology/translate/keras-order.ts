import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { ModelDescription } from "../dialects/description.ts";
import { readModel } from "../dialects/read-model.ts";
import { modelOrder } from "./model-order.ts";

/**
 * Sorts the layers of every functional model into the order of Keras's `model.layers`, which numbers their groups in a
 * file. Layers that no output needs come last. Returns the same value if the layers are in this order already.
 */
export function inKerasOrder(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): JsonObject {
  return reorder(checkpoint.modelConfig, readModel(checkpoint));
}

function reorder(entry: JsonObject, model: ModelDescription): JsonObject {
  const config = entry["config"];
  const layers = Array.isArray(config) ? config : isObject(config) ? config["layers"] : undefined;
  if (!Array.isArray(layers)) return entry;
  const nested = new Map(model.layers.map((layer) => [layer.name, layer.model]));
  const reordered = (layers as readonly Json[]).map((layer) => {
    const inner = isObject(layer) ? nested.get(nameOf(layer)) : undefined;
    return inner ? reorder(layer as JsonObject, inner) : layer;
  });
  if (entry["class_name"] !== "Sequential") {
    const position = new Map(modelOrder(model).map((name, index) => [name, index]));
    const rank = (layer: Json) =>
      (isObject(layer) ? position.get(nameOf(layer)) : undefined) ?? position.size;
    reordered.sort((a, b) => rank(a) - rank(b));
  }
  if (reordered.every((layer, index) => layer === layers[index])) return entry;
  return {
    ...entry,
    config: Array.isArray(config) ? reordered : { ...(config as JsonObject), layers: reordered },
  };
}

function nameOf(layer: JsonObject): string {
  const config = layer["config"];
  return String(layer["name"] ?? (isObject(config) ? config["name"] : undefined) ?? "");
}
