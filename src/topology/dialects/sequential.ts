import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { ModelEntry } from "./node-indices.ts";

/**
 * The input shape, batch included, of a Sequential that has no InputLayer: what it was built with, else what its first layer
 * says; null where nothing does.
 */
export function inputShapeOf(model: ModelEntry): Json {
  const build = model.json["build_config"];
  const built = model.config["build_input_shape"] ?? (isObject(build) ? build["input_shape"] : null) ?? null;
  if (built !== null) return built;
  const [first] = model.layers;
  return first !== undefined && isObject(first) ? inputShapeOfLayer(first) : null;
}

function inputShapeOfLayer(layer: JsonObject): Json {
  const config = layer["config"];
  if (Array.isArray(config)) return inputShapeOfFirst(config);
  if (!isObject(config)) return null;
  const own = config["batch_shape"] ?? config["batch_input_shape"] ?? null;
  if (own !== null) return own;
  if (Array.isArray(config["layers"])) return inputShapeOfFirst(config["layers"]);
  // A wrapper (TimeDistributed) may leave it to what it wraps, without the batch's sake: the wrapper's own came first.
  const build = layer["build_config"];
  return isObject(build) ? (build["input_shape"] ?? null) : null;
}

function inputShapeOfFirst(layers: readonly Json[]): Json {
  const [first] = layers;
  return first !== undefined && isObject(first) ? inputShapeOfLayer(first) : null;
}

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
