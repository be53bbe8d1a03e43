import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../../topology/config-values.ts";

/**
 * A config with plain numbers and lists where Keras 2.12 to 2.15 wrote NumPy's in a `.keras`:
 * `{ class_name: "__numpy__", config: { value: 6.0 } }`, which no other file of theirs has.
 */
export function withoutNumpyValues(config: JsonObject): JsonObject {
  const entries = Object.entries(config).map(([key, value]) => [key, plain(value)] as const);
  const changed = entries.filter(([key, value]) => value !== config[key]);
  return changed.length === 0 ? config : { ...config, ...Object.fromEntries(changed) };
}

function plain(json: Json): Json {
  if (Array.isArray(json)) {
    const items = (json as readonly Json[]).map(plain);
    return items.some((item, index) => item !== json[index]) ? items : json;
  }
  if (!isObject(json)) return json;
  const { class_name, config } = json;
  if (class_name === "__numpy__" && isObject(config)) return config["value"] ?? null;
  return withoutNumpyValues(json);
}
