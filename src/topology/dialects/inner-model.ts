import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { ModelDescription } from "./description.ts";

/** Under what class name the config of a wrapper holds a model. */
export const innerModelClass = "Functional";

/** What was read here: a config that a file passes off as a description is none. */
const descriptions = new WeakSet<object>();

/** A model as the entry of a layer that a wrapper holds. A description is plain data, as a config is. */
export function innerModelEntry(model: ModelDescription): JsonObject {
  descriptions.add(model);
  const description = model as unknown as JsonObject;
  return {
    class_name: innerModelClass,
    config: { name: model.name, trainable: model.trainable, description },
  };
}

export function isInnerModel({ description }: JsonObject): boolean {
  return typeof description === "object" && description !== null && descriptions.has(description);
}

/** The model that `innerModelEntry` made the entry of. @throws {TopologyError} where it made none. */
export function innerModelOf(config: JsonObject): ModelDescription {
  if (isInnerModel(config)) return config["description"] as unknown as ModelDescription;
  throw new TopologyError(
    "layer: expected a model with its layers. The config is not one that Keras writes.",
  );
}

/** The layers of the model and of those in it that are no models. */
export function innerLayersOf(model: ModelDescription): ModelDescription["layers"] {
  return model.layers.flatMap((layer) => (layer.model ? innerLayersOf(layer.model) : [layer]));
}
