import type { Checkpoint, JsonObject } from "../../checkpoint.ts";
import { dialectVersion } from "../dialect-writing.ts";

/** A model without its weights: its config, and the release of Keras whose words that is in. */
export type DescribedModel = Pick<Checkpoint, "modelConfig" | "kerasVersion">;

/**
 * The model in what `model.to_json()` of any Keras gives, undefined where that is something else. Keras 3 names no version but
 * the module of each object (`keras/src/models/model.py`, `keras/src/saving/serialization_lib.py`).
 */
export function describedModel(json: JsonObject): DescribedModel | undefined {
  const { keras_version: version, backend: _backend, compile_config: _compiled, ...modelConfig } = json;
  if (typeof json["class_name"] !== "string" || json["config"] === undefined) return undefined;
  const release = typeof version === "string" ? version : json["module"] === undefined ? "1" : dialectVersion;
  return { modelConfig, kerasVersion: release };
}
