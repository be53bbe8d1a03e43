import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";
import { classNameOf } from "../dialects/class-names.ts";
import { editInnerLayers } from "../edit-config.ts";
import { nameInCode } from "../naming.ts";
import { dtypeInModule, inModule, inScript, isCustomClass, opModule } from "./keras-modules.ts";

/** Translates a config of a Keras 3 `.h5` to the `.keras` dialect, in which every entry has its module. */
export function withModules(entry: JsonObject): JsonObject {
  const className = String(entry["class_name"]);
  const layers = layersOf(entry);
  if (layers) {
    const config: JsonObject = { ...(entry["config"] as JsonObject), layers: layers.map(withModules) };
    const model = { ...entry, config };
    return className === "Sequential" ? inModule(model, "keras") : inFunctional(model);
  }
  const known = classNameOf(entry, 3);
  if (known.startsWith("ops."))
    return { ...inModule(entry, opModule(className)), registered_name: className };
  const written = entry["config"] ?? null;
  const config = isObject(written) ? editInnerLayers(written, withModules) : written;
  const layer =
    isObject(config) && "dtype" in config
      ? { ...config, dtype: dtypeInModule(config["dtype"] ?? null) }
      : config;
  if (isCustomClass(known)) return inScript({ ...entry, config: layer }, className);
  return inModule({ ...entry, config: layer, class_name: known }, "keras.layers");
}

function inFunctional(entry: JsonObject): JsonObject {
  const { class_name: _name, ...rest } = entry;
  const module = "keras.src.models.functional";
  return { ...inModule({ class_name: "Functional", ...rest }, module), registered_name: "Functional" };
}

/**
 * Translates a `.keras` config to Keras 3's `.h5` dialect.
 * @throws {TopologyError} naming a layer that Keras cannot load from `.h5`: an operation of keras.ops or a class of
 * another module.
 */
export function withoutModules(entry: JsonObject, prefix = ""): JsonObject {
  const { module, registered_name, build_config: _build, compile_config: _compile, ...rest } = entry;
  const config = entry["config"] ?? null;
  const name = String(entry["name"] ?? (isObject(config) ? config["name"] : undefined) ?? "");
  const path = prefix + name;
  const layers = layersOf(entry);
  if (layers && isObject(config)) {
    const below = "inbound_nodes" in entry || prefix !== "" ? `${path}/` : prefix;
    return { ...rest, config: { ...config, layers: layers.map((layer) => withoutModules(layer, below)) } };
  }
  const known = classNameOf(entry, 3);
  if (known.startsWith("ops.")) {
    throw new TopologyError(
      `${path}: ${known}: Keras cannot load an operation from .h5. Write .keras.`,
      "untranslatable",
    );
  }
  const isOwn = typeof module === "string" && /^keras(_hub|_nlp|_cv)?(\.|$)/.test(module);
  if (isOwn && !/^keras(\.layers)?$/.test(module)) {
    throw new TopologyError(
      `${path}: ${String(entry["class_name"])}: Keras cannot load a class of ${module} from .h5. Write .keras.`,
      "untranslatable",
    );
  }
  const custom = typeof registered_name === "string" && (!isOwn || registered_name.includes(">"));
  // Layers inside a wrapper keep their modules.
  return { ...rest, class_name: custom ? registered_name : nameInCode(String(entry["class_name"])) };
}

function layersOf(entry: JsonObject): readonly JsonObject[] | undefined {
  const config = entry["config"];
  if (!isObject(config) || !Array.isArray(config["layers"])) return undefined;
  if (entry["class_name"] !== "Sequential" && !("output_layers" in config)) return undefined;
  return (config["layers"] as readonly Json[]).filter(isObject);
}
