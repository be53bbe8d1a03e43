import type { Checkpoint, Json, JsonObject } from "../checkpoint.ts";
import { isObject } from "../topology/config-values.ts";
import { inDialect } from "./dialect-writing.ts";

/**
 * The checkpoint in a form of Keras 3's that the `.keras` of Keras 3.0 to 3.3 has too: a single input or output is a list of one
 * (`keras/src/models/functional.py`, `functional_from_config`). Later ones open it as well, and give `model.output` as a list.
 * @throws {TopologyError} naming the layer that Keras 3 cannot hold.
 */
export function forEarlyKeras3(checkpoint: Checkpoint): Checkpoint {
  const translated = inDialect(checkpoint, "keras3");
  return { ...translated, modelConfig: withListedEnds(translated.modelConfig) };
}

function withListedEnds(entry: JsonObject): JsonObject {
  const { config } = entry;
  if (!isObject(config) || !Array.isArray(config["layers"])) return entry;
  const layers = (config["layers"] as readonly Json[]).map((layer) =>
    isObject(layer) ? withListedEnds(layer) : layer,
  );
  const ends = ["input_layers", "output_layers"].filter((key) => isTensor(config[key]));
  const listed = Object.fromEntries(ends.map((key) => [key, [config[key]!]]));
  return { ...entry, config: { ...config, layers, ...listed } };
}

/** `["dense", 0, 0]` */
function isTensor(json: Json | undefined): boolean {
  return Array.isArray(json) && typeof json[0] === "string";
}
