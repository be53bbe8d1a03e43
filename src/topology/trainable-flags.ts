import type { Checkpoint, JsonObject } from "../checkpoint.ts";
import { isObject } from "./config-values.ts";
import { editInnerLayers, editLayers, layersOf, withConfig } from "./edit-config.ts";

/**
 * Sets the `trainable` flags in the config: false for the layers whose paths are in `frozen` and true for all others. A
 * nested model's flag is false only if nothing inside trains. An entry without a flag and without weights is unchanged.
 */
export function withTrainableFlags(checkpoint: Checkpoint, frozen: ReadonlySet<string>): Checkpoint {
  const flagged = (json: JsonObject, trainable: boolean, force: boolean): JsonObject => {
    const config = json["config"];
    if (!isObject(config)) return json;
    const isModel = layersOf(json) !== undefined;
    const edited = isModel ? config : editInnerLayers(config, (inner) => withInnerFlag(inner, trainable));
    const wants = "trainable" in config || force;
    if (edited === config && (!wants || config["trainable"] === trainable)) return json;
    return { ...json, config: { ...edited, ...(wants && { trainable }) } };
  };
  const weighted = [...checkpoint.weights.keys()];
  const trainsWithin = (prefix: string): boolean | null => {
    const inside = weighted.filter((path) => path.startsWith(prefix));
    return inside.length === 0 ? null : inside.some((path) => !frozen.has(path));
  };
  const flaggedModel = (json: JsonObject, prefix: string): JsonObject => {
    const trains = trainsWithin(prefix);
    return trains === null ? json : flagged(json, trains, false);
  };
  const modelConfig = editLayers(
    checkpoint.modelConfig,
    ({ path, json }) => flagged(json, !frozen.has(path), checkpoint.weights.has(path)),
    ({ path, json }) => flaggedModel(json, `${path}/`),
  );
  return { ...checkpoint, modelConfig: flaggedModel(modelConfig, "") };
}

/** Gives a layer inside another the other's flag. A model inside and what has no flag stay as they are. */
function withInnerFlag(json: JsonObject, trainable: boolean): JsonObject {
  const config = json["config"];
  if (!isObject(config) || layersOf(json) !== undefined) return json;
  if (!("trainable" in config) || config["trainable"] === trainable) return json;
  return withConfig(json, { trainable });
}
