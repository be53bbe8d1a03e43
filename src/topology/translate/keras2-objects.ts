import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import type { LayerDescription } from "../dialects/description.ts";
import { packageActivation, packageLayer } from "../dialects/package-layers.ts";
import { editInnerLayers, innerLayerKeys, layersOf } from "../edit-config.ts";
import { dtypeInModule, inModule, inScript, isCustomClass, opModule } from "./keras-modules.ts";
import { keras3Arguments } from "./keras2-arguments.ts";

/** Translates the Keras 2 model inside the wrapper at `path` to the `.keras` dialect. */
export type InnerModel = (path: string, entry: JsonObject) => JsonObject;

/**
 * Translates the config entry of a Keras 2 layer to the `.keras` dialect, without its calls.
 * @throws {TopologyError} naming a layer or argument that Keras 3 does not have.
 */
export function keras3Layer(path: string, entry: JsonObject, innerModel: InnerModel): JsonObject {
  const config = isObject(entry["config"]) ? entry["config"] : {};
  const className = writtenClass(entry);
  if (className === "InputLayer")
    return inModule({ class_name: className, config: inputConfig(config) }, "keras.layers");
  const known = packageLayer(className, config);
  if (known && !isCustomClass(known.className) && !known.className.startsWith("ops.")) {
    return keras3Layer(path, { class_name: known.className, config: known.config }, innerModel);
  }
  const translated = keras3Arguments(path, className, config);
  const inner = (layer: JsonObject): JsonObject =>
    layersOf(layer) ? innerModel(path, layer) : keras3Layer(path, layer, innerModel);
  const objects: Record<string, Json> = { ...editInnerLayers(translated.config, inner) };
  for (const [key, value] of Object.entries(objects)) {
    if (!innerLayerKeys.has(key)) objects[key] = keras3Value(path, key, value, innerModel);
  }
  const layer = { class_name: translated.className, config: objects };
  return isCustomClass(translated.className)
    ? inScript(layer, translated.className)
    : inModule(layer, "keras.layers");
}

/** Returns the class of an entry: in an archive of Keras 2 a custom one has the name that it is registered by. */
function writtenClass({ class_name: className, registered_name: registered }: JsonObject): string {
  return typeof registered === "string" && registered.includes(">") ? registered : String(className);
}

/**
 * Returns the config entry of the Keras 3 operation or layer that a TensorFlow function in a Keras 2 graph was read as,
 * without its calls.
 */
export function keras3Operation({ className, config }: LayerDescription): JsonObject {
  const { trainable: _trainable, ...arguments_ } = config;
  // CountNonzero is the only reduction without the argument keepdims.
  const { keepdims: _keepdims, ...counted } = arguments_;
  const own = className === "ops.CountNonzero" ? counted : arguments_;
  if (!className.startsWith("ops.")) return inModule({ class_name: className, config }, "keras.layers");
  const name = className.slice("ops.".length);
  return { ...inModule({ class_name: name, config: own }, opModule(name)), registered_name: name };
}

function inputConfig(config: JsonObject): JsonObject {
  const { batch_input_shape, ...rest } = config;
  return batch_input_shape === undefined ? config : { batch_shape: batch_input_shape, ...rest };
}

function keras3Value(path: string, key: string, value: Json, innerModel: InnerModel): Json {
  if (key === "dtype") return dtypeInModule(value);
  if (key.endsWith("activation")) {
    const known = packageActivation(value);
    if (known) return known;
  }
  if (!isLayer(value)) return value;
  if (key.endsWith("_initializer")) return initializer(value);
  if (key.endsWith("_regularizer")) return inModule(value, "keras.regularizers");
  if (key.endsWith("_constraint")) return inModule(value, "keras.constraints");
  if (key.endsWith("activation") && value["class_name"] !== "function")
    return keras3Layer(path, value, innerModel);
  return value;
}

function isLayer(value: Json): value is JsonObject {
  return isObject(value) && typeof value["class_name"] === "string" && "config" in value;
}

/**
 * Translates an initializer: Keras 2.2 called a truncated normal distribution "normal", TensorFlow 1 wrote a dtype, and
 * early releases of Keras 3 know Orthogonal only as OrthogonalInitializer.
 */
function initializer(value: JsonObject): JsonObject {
  if (!isObject(value["config"])) return inModule({ ...value, config: {} }, "keras.initializers");
  const { dtype: _dtype, ...config } = value["config"];
  const renamed =
    value["class_name"] === "VarianceScaling" && config["distribution"] === "normal"
      ? { ...config, distribution: "truncated_normal" }
      : config;
  const className =
    value["class_name"] === "Orthogonal" ? "OrthogonalInitializer" : (value["class_name"] ?? null);
  return inModule({ ...value, class_name: className, config: renamed }, "keras.initializers");
}
