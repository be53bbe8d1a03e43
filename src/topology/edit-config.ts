import type { Json, JsonObject } from "../checkpoint.ts";
import { isObject } from "./config-values.ts";

/** A layer's entry in a config, and where it stands. */
export interface ConfigEntry {
  readonly path: string;
  readonly json: JsonObject;
}

/**
 * The model config with some layer entries replaced: `edit` gives the new entry, or the old one to leave it as it is. What is
 * left is the same object, keys under symbols included. Nested models are entered; `editModel` edits their own entry after.
 */
export function editLayers(
  modelConfig: JsonObject,
  edit: (entry: ConfigEntry) => JsonObject,
  editModel: (entry: ConfigEntry) => JsonObject = ({ json }) => json,
): JsonObject {
  return editModelEntry(modelConfig, "", edit, editModel);
}

function editModelEntry(
  json: JsonObject,
  prefix: string,
  edit: (entry: ConfigEntry) => JsonObject,
  editModel: (entry: ConfigEntry) => JsonObject,
): JsonObject {
  return withLayers(json, (layers) => {
    const edited = layers.map((layer) => {
      if (!isObject(layer)) return layer;
      const path = prefix + entryName(layer);
      if (layersOf(layer) === undefined) return edit({ path, json: layer });
      return editModel({ path, json: editModelEntry(layer, `${path}/`, edit, editModel) });
    });
    return edited.every((layer, index) => layer === layers[index]) ? layers : edited;
  });
}

/** The layer entries of a model's entry, undefined where it is a layer's. */
export function layersOf(json: JsonObject): readonly Json[] | undefined {
  const config = json["config"];
  if (Array.isArray(config) && json["class_name"] === "Sequential") return config as readonly Json[];
  // A layer, whatever it holds.
  if (json["class_name"] === "Pipeline") return undefined;
  return isObject(config) && Array.isArray(config["layers"])
    ? (config["layers"] as readonly Json[])
    : undefined;
}

/** The model's entry with other layer entries; itself where `change` gives the same list back. */
export function withLayers(
  json: JsonObject,
  change: (layers: readonly Json[]) => readonly Json[],
): JsonObject {
  const layers = layersOf(json);
  if (layers === undefined) return json;
  const changed = change(layers);
  if (changed === layers) return json;
  const config = json["config"];
  return Array.isArray(config)
    ? { ...json, config: changed }
    : { ...json, config: { ...(config as JsonObject), layers: changed } };
}

/** The entry with some of its config's values set. */
export function withConfig(json: JsonObject, values: JsonObject): JsonObject {
  return { ...json, config: { ...(json["config"] as JsonObject), ...values } };
}

export function entryName(json: JsonObject): string {
  const config = json["config"];
  return String(json["name"] ?? (isObject(config) ? config["name"] : undefined) ?? "");
}
