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
