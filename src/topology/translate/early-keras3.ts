import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { optionSetTo } from "../../options.ts";
import { formatShape } from "../../tensor.ts";
import { isObject } from "../config-values.ts";
import { classNameOf } from "../dialects/class-names.ts";
import { entryName, layersOf } from "../edit-config.ts";
import type { LayerGraph } from "../layer-graph.ts";
import { layerLookup, tensorAt } from "../layer-graph.ts";
import { isLaterActivation, isLaterClass, laterArgumentsOf } from "./later-arguments.ts";

/** The release whose form and meaning of configs an early `.keras` has. */
export const earlyVersion = "3.0.5";

/**
 * Converts a config in Keras 3's `.keras` dialect to the form that Keras 3.0 to 3.3 read too: a single input or output
 * is a list of one (`functional_from_config` of `keras/src/models/functional.py`), dtypes are names, and later
 * arguments are left out.
 * @throws {TopologyError} naming a layer that Keras 3.0 does not have, or writes but cannot open.
 */
export function inEarlyForm(modelConfig: JsonObject): JsonObject {
  return earlyModel(modelConfig, "");
}

function earlyModel(entry: JsonObject, prefix: string): JsonObject {
  const config = entry["config"] as JsonObject;
  const layers = (layersOf(entry) ?? []).filter(isObject);
  const isSequential = entry["class_name"] === "Sequential";
  const early = layers.map((layer) => {
    const path = prefix + entryName(layer);
    if (!layersOf(layer)) return earlyLayer(layer, path);
    if (isSequential && layer["class_name"] !== "Sequential") {
      throw unopened(path, "a functional model inside a Sequential model");
    }
    return earlyModel(layer, `${path}/`);
  });
  if (isSequential) return { ...entry, config: { ...config, layers: early } };
  refuseLateReads(layers, prefix);
  const models = new Map(layers.filter(layersOf).map((layer) => [entryName(layer), layer]));
  const ends = Object.fromEntries(
    ["input_layers", "output_layers"].map((key) => [key, earlyEnds(config[key] ?? null, models, prefix)]),
  );
  return { ...entry, config: { ...config, layers: early, ...ends } };
}

/**
 * Puts a single endpoint `["dense", 0, 0]` into a list, and numbers the calls of nested models from 0 as early releases
 * do.
 */
function earlyEnds(json: Json, models: ReadonlyMap<string, JsonObject>, prefix: string): Json {
  const end = (tensor: Json): Json => {
    if (isObject(tensor)) return Object.fromEntries(Object.entries(tensor).map(([k, v]) => [k, end(v)]));
    if (!Array.isArray(tensor)) return tensor;
    const [name, node, output]: readonly Json[] = tensor;
    const model = typeof name === "string" ? models.get(name) : undefined;
    if (typeof name !== "string") return (tensor as readonly Json[]).map(end);
    if (model?.["class_name"] !== "Functional") return tensor;
    const calls = model["inbound_nodes"];
    if (Array.isArray(calls) && calls.length > 1) {
      throw unopened(
        prefix + name,
        "a nested model that is called more than once and is an output of the model",
      );
    }
    return [name, Math.max(0, Number(node) - 1), output ?? 0];
  };
  const ends = end(json);
  return Array.isArray(ends) && typeof ends[0] === "string" ? [ends] : ends;
}

function earlyLayer(entry: JsonObject, path: string): JsonObject {
  if (entry["class_name"] === "GetItem" && JSON.stringify(entry["inbound_nodes"] ?? []).includes("},[")) {
    throw unopened(path, "an index over several axes");
  }
  const early = earlyObject(entry, path) as JsonObject;
  return entry["class_name"] === "Bidirectional" ? (withoutBuildConfigs(early) as JsonObject) : early;
}

/**
 * Removes build configs: Keras 3.0 does not find the weights of layers that are built before the Bidirectional around
 * them.
 */
function withoutBuildConfigs(json: Json): Json {
  if (Array.isArray(json)) return (json as readonly Json[]).map(withoutBuildConfigs);
  if (!isObject(json)) return json;
  const { build_config: _build, ...rest } = json;
  return Object.fromEntries(Object.entries(rest).map(([key, item]) => [key, withoutBuildConfigs(item)]));
}

/**
 * Converts a serialized Keras object, such as a layer or initializer, and the objects inside it. Returns other values
 * as is.
 */
function earlyObject(value: Json, path: string): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map((item) => earlyObject(item, path));
  if (!isObject(value) || typeof value["class_name"] !== "string") return value;
  const config = value["config"];
  if (!isObject(config) || value["class_name"].startsWith("__")) return value;
  const className = classNameOf(value, 3);
  if (layersOf(value)) throw unopened(path, "a model inside a layer");
  requireKnown(className, config, path);
  const { inert } = laterArgumentsOf(className, config);
  const early: Record<string, Json> = { ...config };
  for (const key of inert) delete early[key];
  if (className.startsWith("ops.")) delete early["name"];
  for (const [key, item] of Object.entries(early)) {
    early[key] = key === "dtype" ? dtypeName(item, className, path) : earlyObject(item, path);
  }
  return {
    ...value,
    config: early,
    ...(className === "Orthogonal" && { class_name: "OrthogonalInitializer" }),
  };
}

function requireKnown(className: string, config: JsonObject, path: string): void {
  if (isLaterClass(className)) throw unknown(path, `has no ${className}`);
  for (const key of laterArgumentsOf(className, config).active) {
    throw unknown(path, `has no argument ${key} of ${className}, got ${JSON.stringify(config[key])}`);
  }
  for (const key of ["activation", "recurrent_activation"]) {
    const activation = config[key] ?? null;
    if (isLaterActivation(activation)) throw unknown(path, `has no activation ${String(activation)}`);
    if (isObject(activation) && activation["class_name"] !== "function") {
      throw unopened(path, `a layer as ${key}`);
    }
  }
  if (className === "RNN" && config["return_state"] === true && isStack(config["cell"] ?? null)) {
    throw unopened(path, "stacked cells that return their states");
  }
}

function isStack(cell: Json): boolean {
  return Array.isArray(cell) || (isObject(cell) && cell["class_name"] === "StackedRNNCells");
}

/** Returns the name of a dtype policy. Early releases read policies by name, and have none for quantized layers. */
function dtypeName(dtype: Json, className: string, path: string): Json {
  if (!isObject(dtype)) return dtype;
  const config = isObject(dtype["config"]) ? dtype["config"] : {};
  if (dtype["class_name"] !== "DTypePolicy") {
    throw unknown(path, `has no ${String(dtype["class_name"])} for ${className}`);
  }
  return config["name"] ?? "float32";
}

/** Refuses a layer that is called on a later one: early releases read the layers once, in their order. */
function refuseLateReads(layers: readonly JsonObject[], prefix: string): void {
  const met = new Set(layers.filter((layer) => layer["class_name"] === "InputLayer").map(entryName));
  for (const layer of layers) {
    const name = entryName(layer);
    met.add(name);
    const late = readsOf(layer["inbound_nodes"] ?? null).find((read) => !met.has(read));
    if (late === undefined) continue;
    throw unopened(prefix + name, `a layer that is called both before and after ${prefix}${late}`);
  }
}

/** Lists the layers whose outputs a layer is called on. */
function readsOf(json: Json): readonly string[] {
  if (Array.isArray(json)) return (json as readonly Json[]).flatMap(readsOf);
  if (!isObject(json)) return [];
  const history = json["keras_history"];
  return Array.isArray(history) ? [String(history[0])] : Object.values(json).flatMap(readsOf);
}

/**
 * Refuses a one-hot CategoryEncoding of a column (last axis of size 1), which later releases encode like single
 * numbers.
 * @throws {TopologyError} naming the layer.
 */
export function refuseEncodedColumns(graph: LayerGraph): void {
  const layerOf = layerLookup(graph);
  for (const { layer, inputs } of graph.nodes) {
    const { className, config } = layerOf(layer);
    if (className !== "CategoryEncoding" || config["output_mode"] !== "one_hot") continue;
    const [ref] = inputs;
    const shape = (ref && tensorAt(graph, ref).shape) ?? [];
    if (shape.length > 1 && shape.at(-1) === 1) {
      throw unknown(layer, `has no one_hot encoding of a column, got shape ${formatShape(shape)}`);
    }
  }
}

const advice = (): string => `Write it for a current Keras, without ${optionSetTo("outputKeras", "3.0")}.`;

function unknown(path: string, what: string): TopologyError {
  return new TopologyError(`${path}: Keras 3.0 ${what}. ${advice()}`, "untranslatable");
}

/** Creates the error for something that Keras 3.0 saves but fails to open (measured with 3.0.5). */
function unopened(path: string, what: string): TopologyError {
  return new TopologyError(`${path}: Keras 3.0 fails to open ${what}. ${advice()}`, "untranslatable");
}
