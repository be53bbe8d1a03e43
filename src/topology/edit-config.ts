import type { Json, JsonObject } from "../checkpoint.ts";
import { isObject } from "./config-values.ts";

/** Entry of a layer in a config, with the layer's path. */
export interface ConfigEntry {
  readonly path: string;
  readonly json: JsonObject;
}

/**
 * Returns the model config with some layer entries replaced. Unchanged parts stay the same objects, including their
 * symbol keys.
 * @param edit Returns the new entry of a layer, or the given one to keep it.
 * @param editModel Edits the entry of a nested model after its layers.
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

/** Returns the layer entries in the entry of a model, undefined for the entry of a layer. */
export function layersOf(json: JsonObject): readonly Json[] | undefined {
  const config = json["config"];
  if (Array.isArray(config) && json["class_name"] === "Sequential") return config as readonly Json[];
  // A Pipeline is a layer although it contains layers.
  if (json["class_name"] === "Pipeline") return undefined;
  return isObject(config) && Array.isArray(config["layers"])
    ? (config["layers"] as readonly Json[])
    : undefined;
}

/** Returns the entry of a model with changed layer entries, or the same entry if `change` returns the same list. */
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

/** The arguments of wrappers, recurrent layers, stacked cells and pipelines that hold the layers inside: one, or a list. */
export const innerLayerKeys: ReadonlySet<string> = new Set([
  "layer",
  "backward_layer",
  "cell",
  "cells",
  "layers",
]);

/** Returns a layer's config with `change` applied to each entry of a layer directly inside it: itself if nothing changes. */
export function editInnerLayers(config: JsonObject, change: (entry: JsonObject) => JsonObject): JsonObject {
  const edit = (value: Json): Json => {
    if (!Array.isArray(value)) return isObject(value) && "class_name" in value ? change(value) : value;
    const items: readonly Json[] = value;
    const edited = items.map(edit);
    return edited.every((item, index) => item === items[index]) ? value : edited;
  };
  const changed = Object.entries(config)
    .filter(([key]) => innerLayerKeys.has(key))
    .map(([key, value]) => [key, edit(value)] as const)
    .filter(([key, value]) => value !== config[key]);
  return changed.length === 0 ? config : { ...config, ...Object.fromEntries(changed) };
}

/** Returns an entry with some arguments in its config replaced. */
export function withConfig(json: JsonObject, values: JsonObject): JsonObject {
  return { ...json, config: { ...(json["config"] as JsonObject), ...values } };
}

/** Returns the name of the layer or model that an entry describes. */
export function entryName(json: JsonObject): string {
  const config = json["config"];
  return String(json["name"] ?? (isObject(config) ? config["name"] : undefined) ?? "");
}
