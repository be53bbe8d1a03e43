import type { Json, JsonObject } from "../../checkpoint.ts";
import { isObject } from "../config-values.ts";
import { isTimed } from "../dialects/layer-config.ts";
import { layersOf, withLayers } from "../edit-config.ts";
import { specOf } from "../layer-specs.ts";
import { inModule } from "./keras-modules.ts";
import { insideKeys, loneAxis, withoutIdleArguments } from "./keras2-arguments.ts";

/**
 * Rewrites a Keras 2 config for `.h5` so that Keras 3 reads it too, as far as every Keras 2 reads the result like the
 * original. Arguments at the only value of Keras 2 are left out (`groups: 1`), layers inside layers get their module,
 * and a Sequential whose first layer states the input shape gets an InputLayer. Returns the same value if nothing
 * changes.
 */
export function readableInKeras3(model: JsonObject, kerasVersion: string): JsonObject {
  return withLayers(withoutOldModule(model), (layers) => {
    const changed = layers.map((layer) => {
      if (!isObject(layer)) return layer;
      return layersOf(layer) ? readableInKeras3(layer, kerasVersion) : sharedLayer(layer, kerasVersion);
    });
    const hasInput = model["class_name"] !== "Sequential" || Array.isArray(model["config"]);
    const whole = hasInput ? changed : withInput(layers[0], changed);
    return whole.length === layers.length && whole.every((layer, index) => layer === layers[index])
      ? layers
      : whole;
  });
}

/** Translates a config of a Keras 2 `.keras` to that of Keras 2's `.h5`. */
export function archiveToH5(entry: JsonObject): JsonObject {
  const {
    module: _module,
    registered_name: name,
    build_config: _build,
    compile_config: _compile,
    ...own
  } = entry;
  const isCustom = typeof name === "string" && name.includes(">");
  return withLayers({ ...own, ...(isCustom && { class_name: name }) }, (layers) =>
    layers.map((layer) => (isObject(layer) ? archiveToH5(layer) : layer)),
  );
}

/** Removes the module of a nested model's class, which Keras 2.13 and later write and which differs in Keras 3. */
function withoutOldModule(model: JsonObject): JsonObject {
  const { module, registered_name: _name, ...rest } = model;
  return typeof module === "string" && module.startsWith("keras.src.") ? rest : model;
}

function sharedLayer(layer: JsonObject, kerasVersion: string): JsonObject {
  const { class_name: className, config } = layer;
  if (typeof className !== "string" || !isObject(config)) return layer;
  const shared = sharedConfig(className, config, kerasVersion);
  return shared === config ? layer : { ...layer, config: shared };
}

function sharedConfig(className: string, config: JsonObject, kerasVersion: string): JsonObject {
  // In other versions the argument's presence shows how masked steps are computed.
  const keep = isTimed(kerasVersion) ? [] : ["time_major"];
  const needed = withoutIdleArguments(className, config, keep);
  const changed = Object.entries(needed).flatMap(([key, value]) => {
    const shared = sharedValue(key, value, kerasVersion);
    return JSON.stringify(shared) === JSON.stringify(value) ? [] : [[key, shared] as const];
  });
  return changed.length === 0 ? needed : { ...needed, ...Object.fromEntries(changed) };
}

function sharedValue(key: string, value: Json, kerasVersion: string): Json {
  if (Array.isArray(value) && key === "cells") {
    return (value as readonly Json[]).map((cell) => sharedValue("cell", cell, kerasVersion));
  }
  if (!isObject(value) || !isObject(value["config"])) return value;
  const { config } = value;
  if (key === "dtype") return isPlainPolicy(value) ? (config["name"] ?? value) : value;
  if (key.endsWith("_initializer")) return withoutFloat32(value, config);
  const isInside = insideKeys.includes(key);
  const className = String(value["class_name"]);
  if (!isInside || !specOf(className) || layersOf(value)) return value;
  const { batch_input_shape: _shape, ...inner } = sharedConfig(className, config, kerasVersion);
  const axis = inner["axis"];
  const lone = axis === undefined ? inner : { ...inner, axis: loneAxis(className, axis) };
  return inModule({ ...value, config: lone }, "keras.layers");
}

/** Removes an initializer's dtype, which TensorFlow 1 wrote and Keras 3 does not read. */
function withoutFloat32(value: JsonObject, config: JsonObject): JsonObject {
  const { dtype, ...rest } = config;
  return dtype === "float32" ? { ...value, config: rest } : value;
}

/** Returns whether a dtype policy has nothing but a name, which every Keras reads. */
function isPlainPolicy({ class_name, config }: JsonObject): boolean {
  return class_name === "Policy" && isObject(config) && Object.keys(config).join() === "name";
}

/** Puts an InputLayer first: Keras 3 reads a Sequential's input shape from it only, Keras 2.2 from the first layer. */
function withInput(first: Json | undefined, layers: readonly Json[]): readonly Json[] {
  const config = isObject(first) && first["class_name"] !== "InputLayer" ? first["config"] : undefined;
  if (!isObject(config) || !Array.isArray(config["batch_input_shape"])) return layers;
  const { batch_input_shape, dtype } = config;
  const name = `${String(config["name"])}_input`;
  const own = {
    batch_input_shape,
    dtype: typeof dtype === "string" ? dtype : "float32",
    sparse: false,
    name,
  };
  return [{ class_name: "InputLayer", config: own }, ...layers];
}
