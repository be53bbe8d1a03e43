import type { Checkpoint, Json, JsonObject } from "../checkpoint.ts";
import { isObject } from "./config-values.ts";
import { editLayers, layersOf, withConfig } from "./edit-config.ts";

/** Arguments under which wrappers (Bidirectional, TimeDistributed, RNN) store their inner layers. */
const innerLayers = ["layer", "forward_layer", "backward_layer", "cell"] as const;

/**
 * Sets the `trainable` flags in the config: false for the layers whose paths are in `frozen` and true for all others. A
 * nested model's flag is false only if nothing inside trains. An entry without a flag and without weights is unchanged.
 */
export function withTrainableFlags(checkpoint: Checkpoint, frozen: ReadonlySet<string>): Checkpoint {
  const flagged = (json: JsonObject, trainable: boolean, force: boolean): JsonObject => {
    const config = json["config"];
    if (!isObject(config)) return json;
    const inner = innerFlags(config, trainable);
    const wants = "trainable" in config || force;
    if (inner === null && (!wants || config["trainable"] === trainable)) return json;
    return withConfig(json, { ...inner, ...(wants && { trainable }) });
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

/** Returns the inner layers of a wrapper with the wrapper's flag, null if there are none or all have it. */
function innerFlags(config: JsonObject, trainable: boolean): JsonObject | null {
  const changed: [string, Json][] = [];
  for (const key of innerLayers) {
    const inner = config[key];
    if (!isObject(inner) || !isObject(inner["config"]) || layersOf(inner) !== undefined) continue;
    if (!("trainable" in inner["config"]) || inner["config"]["trainable"] === trainable) continue;
    changed.push([key, withConfig(inner, { trainable })]);
  }
  return changed.length > 0 ? Object.fromEntries(changed) : null;
}
