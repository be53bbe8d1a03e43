import type { JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import type { ModelDescription } from "./description.ts";

/** Class name under which the config of a wrapper holds a model. */
export const innerModelClass = "Functional";

/** Descriptions that were read by this program. A config in a file that imitates a description is not one of them. */
const descriptions = new WeakSet<object>();

/** Returns a model as the layer entry in a wrapper's config. A description is plain data like a config. */
export function innerModelEntry(model: ModelDescription): JsonObject {
  descriptions.add(model);
  const description = model as unknown as JsonObject;
  return {
    class_name: innerModelClass,
    config: { name: model.name, trainable: model.trainable, description },
  };
}

/** Returns whether a config is that of an entry made by {@link innerModelEntry}. */
export function isInnerModel({ description }: JsonObject): boolean {
  return typeof description === "object" && description !== null && descriptions.has(description);
}

/** Returns the model of an entry made by {@link innerModelEntry}. @throws {TopologyError} for any other config. */
export function innerModelOf(config: JsonObject): ModelDescription {
  if (isInnerModel(config)) return config["description"] as unknown as ModelDescription;
  throw new TopologyError(
    "layer: expected a model with its layers, got none. The config was not written by Keras.",
  );
}

/** Lists the layers of the model and of the models nested in it, without the models themselves. */
export function innerLayersOf(model: ModelDescription): ModelDescription["layers"] {
  return model.layers.flatMap((layer) => (layer.model ? innerLayersOf(layer.model) : [layer]));
}
