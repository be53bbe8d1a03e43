import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";

/**
 * A model config of Keras 2 in which every Sequential has a name. Before 2.2.3 Keras wrote none for one inside another: its config
 * is the list of its layers.
 * @param names The names of the outermost model's layers in order, which a file has beside the config.
 */
export function withSequentialNames(modelConfig: JsonObject, names: readonly string[]): JsonObject {
  const { config } = modelConfig;
  if (modelConfig["class_name"] !== "Sequential" || !Array.isArray(config)) return modelConfig;
  const layers = config as readonly Json[];
  if (layers.length !== names.length) return modelConfig;
  return { ...modelConfig, config: layers.map((layer, index) => named(layer, names[index]!)) };
}

/** Those deeper inside are named by where they are: nothing else refers to them. */
function named(layer: Json, name: string): Json {
  if (!isObject(layer) || layer["class_name"] !== "Sequential" || !Array.isArray(layer["config"]))
    return layer;
  const layers = layer["config"] as readonly Json[];
  const inside = layers.map((inner, index) => named(inner, `sequential_${index + 1}`));
  return { ...layer, name: layer["name"] ?? name, config: inside };
}
