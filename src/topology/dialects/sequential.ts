import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { ModelEntry } from "./node-indices.ts";

/**
 * Returns the input shape, batch included, of a Sequential without an InputLayer: the shape that it was built with, or
 * that of its first layer. Returns null if neither is known.
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
  // A wrapper (TimeDistributed) without an input shape of its own may have been built with one.
  const build = layer["build_config"];
  return isObject(build) ? (build["input_shape"] ?? null) : null;
}

function inputShapeOfFirst(layers: readonly Json[]): Json {
  const [first] = layers;
  return first !== undefined && isObject(first) ? inputShapeOfLayer(first) : null;
}

/**
 * Names every Sequential in a model config of Keras 2. Before 2.2.3 Keras wrote no name for a nested Sequential, whose
 * config is the list of its layers.
 * @param names Names of the outermost model's layers in order, which files store besides the config.
 */
export function withSequentialNames(modelConfig: JsonObject, names: readonly string[]): JsonObject {
  const { config } = modelConfig;
  if (modelConfig["class_name"] !== "Sequential" || !Array.isArray(config)) return modelConfig;
  const layers = config as readonly Json[];
  if (layers.length !== names.length) return modelConfig;
  return { ...modelConfig, config: layers.map((layer, index) => named(layer, names[index] ?? "")) };
}

/** Names a Sequential. Those nested deeper are named by their positions, since nothing refers to them. */
function named(layer: Json, name: string): Json {
  if (!isObject(layer) || layer["class_name"] !== "Sequential" || !Array.isArray(layer["config"]))
    return layer;
  const layers = layer["config"] as readonly Json[];
  const inside = layers.map((inner, index) => named(inner, `sequential_${index + 1}`));
  return { ...layer, name: layer["name"] ?? name, config: inside };
}
