/** @file Classes of KerasHub as functional models: built from their arguments, and found again in a functional model. */
import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { optionName } from "../../options.ts";
import { isObject } from "../../topology/config-values.ts";
import { editLayers, entryName, layersOf, withLayers } from "../../topology/edit-config.ts";
import { argumentsKey, attributeKey, classKey, variableKey } from "../../topology/hub-keys.ts";
import { snakeCase } from "../../topology/naming.ts";
import type { Network } from "../network.ts";
import { network } from "../network.ts";
import type { NetworkInput, Output } from "../network-output.ts";
import { isOneOutput } from "../network-output.ts";
import type { HubBackbone, HubTask } from "./hub-class.ts";
import { hubNetwork } from "./hub-network.ts";
import { backboneNamed, taskNamed } from "./known-classes.ts";

/** Returns whether an entry is that of a class of KerasHub, as KerasHub wrote it. In `.h5` the outermost has no module. */
function isOfHub(entry: JsonObject): boolean {
  const { module, registered_name: registered, config } = entry;
  if (argumentsKey in entry || !isObject(config)) return false;
  if ([module, registered].some((name) => /^keras_hub[.>]/.test(String(name)))) return true;
  return module === undefined && isNamedAlone(entry, config);
}

/** Returns whether the outermost entry of an `.h5` is of KerasHub: it has a class name and arguments alone. */
function isNamedAlone({ class_name: className }: JsonObject, config: JsonObject): boolean {
  if ("layers" in config) return false;
  const backbone = config["backbone"];
  return isObject(backbone ?? null) ? isOfHub(backbone as JsonObject) : !!backboneNamed(String(className));
}

/**
 * Returns a model config in which each class of KerasHub has the functional config that it builds from its arguments. Other configs
 * are returned as they are.
 * @throws {TopologyError} naming a class that is not known, with what to do.
 */
export function withHubNetworks(modelConfig: JsonObject): JsonObject {
  if (isOfHub(modelConfig) && !isLayer(modelConfig)) {
    const className = String(modelConfig["class_name"]);
    if (backboneNamed(className)?.isWithinTask) throw severalOutputs(className);
    return expanded(modelConfig).entry;
  }
  return withLayers(modelConfig, (layers) => {
    const edited = layers.map((layer) => (isObject(layer) ? withHubNetworks(layer) : layer));
    return edited.every((layer, index) => layer === layers[index]) ? layers : edited;
  });
}

/** Returns the functional config of a task's backbone, which need not be readable alone. */
export function backboneNetwork(entry: JsonObject): JsonObject {
  return expanded(entry).entry;
}

/** Returns whether an entry is that of a layer, whose code is KerasHub's: like every custom layer it is left to `registerLayer`. */
function isLayer(entry: JsonObject): boolean {
  return "inbound_nodes" in entry && !/Backbone$/.test(String(entry["class_name"])) && !hasBackbone(entry);
}

function hasBackbone({ config }: JsonObject): boolean {
  return isObject(config ?? null) && "backbone" in (config as JsonObject);
}

interface Built {
  readonly model: JsonObject;
  readonly inputs: readonly NetworkInput[];
  readonly output: Output | Readonly<Record<string, Output>>;
}

type Expanded = Pick<Built, "inputs" | "output"> & { readonly entry: JsonObject };

function expanded(entry: JsonObject): Expanded {
  const className = String(entry["class_name"]);
  const config = entry["config"] as JsonObject;
  const task = taskNamed(className);
  const backbone = backboneNamed(className);
  if (!task && !backbone) throw unknownClass(className);
  const named = { name: snakeCase(className), ...config };
  const built = task ? taskModel(task, named) : backboneModel(backbone as HubBackbone, named);
  const functional = built.model["config"] as JsonObject;
  const flags = { trainable: config["trainable"] ?? true };
  const own = { module: "keras_hub.models", ...entry, registered_name: `keras_hub>${className}` };
  const { inputs, output } = built;
  return { inputs, output, entry: { ...own, config: { ...functional, ...flags }, [argumentsKey]: config } };
}

function backboneModel(
  { build, shapeKey = "image_shape", shapeIn = (own) => own, inputs: given }: HubBackbone,
  config: JsonObject,
): Built {
  const sizes = shapeIn(config)[shapeKey];
  const image = [null, ...(Array.isArray(sizes) ? (sizes as (number | null)[]) : [null, null, 3])];
  const inputs = given ?? [{ shape: image }];
  const net = startedNetwork(inputs, config["dtype"]);
  const output = build(hubNetwork(net, config), config);
  return { model: net.model(nameOf(config), output), inputs, output };
}

function taskModel({ backbone, head }: HubTask, config: JsonObject): Built {
  const entry = config["backbone"];
  if (!isObject(entry) || entry["class_name"] !== backbone) {
    const got = isObject(entry) ? entry["class_name"] : entry;
    throw new TopologyError(
      `${nameOf(config)}: backbone: expected a ${backbone}, got ${JSON.stringify(got ?? null)}.`,
      "malformed",
    );
  }
  const { entry: innerEntry, inputs, output: given } = expanded(entry);
  const { [argumentsKey]: own, build_config: _build, compile_config: _compile, ...model } = innerEntry;
  const net = startedNetwork(inputs, config["head_dtype"] ?? (own as JsonObject)["dtype"]);
  const taken = outputNamed(given, head.features);
  const called = net.nested(model, net.whole, taken.shape);
  const output = head.build(hubNetwork(net, config), config, { ...called, index: taken.index ?? 0 });
  return { model: net.model(nameOf(config), output), inputs, output };
}

/** Returns one of the outputs of a backbone, with its place among those that the model returns. */
function outputNamed(outputs: Built["output"], name: string | undefined): Output {
  if (isOneOutput(outputs)) return { ...outputs, index: 0 };
  const index = Object.keys(outputs).sort().indexOf(String(name));
  const output = outputs[String(name)];
  if (!output)
    throw new Error(`a backbone's output ${name}: expected one of ${Object.keys(outputs).join(", ")}`);
  return { ...output, index };
}

function startedNetwork(inputs: readonly NetworkInput[], dtype: Json | undefined): Network {
  return dtype === undefined || dtype === null ? network(inputs) : network(inputs, dtype);
}

/**
 * Returns the config with each functional model that was built from a KerasHub class as that class again, with the arguments that
 * build it as it is now. A model that was changed into what its class cannot build becomes a plain functional model.
 */
export function asHubClasses(modelConfig: JsonObject): JsonObject {
  const own = asHubClass(modelConfig);
  if (own) return own;
  return withLayers(plainEntry(modelConfig), (layers) =>
    layers.map((layer) => (isObject(layer) ? asHubClasses(layer) : layer)),
  );
}

/** Returns the config with its layers, under the class names of {@link asHubClasses}: what numbers the groups of weights. */
export function inHubClasses(modelConfig: JsonObject): JsonObject {
  if (asHubClass(modelConfig)) return modelConfig;
  return withLayers(plainEntry(modelConfig), (layers) =>
    layers.map((layer) => (isObject(layer) ? inHubClasses(layer) : layer)),
  );
}

/** Returns the entry as that of its KerasHub class, undefined if it has none or is no longer what that class builds. */
export function asHubClass(entry: JsonObject): JsonObject | undefined {
  const given = entry[argumentsKey];
  if (!isObject(given)) return undefined;
  const { [argumentsKey]: _arguments, ...rest } = entry;
  const config = withHead(entry, given);
  const again = expanded({ ...rest, config });
  if (!isSame(scoresAlike(again.entry, entry), entry)) return undefined;
  return { ...rest, config };
}

/** Returns a task's arguments with units and activation of its scores as the model has them. */
function withHead(entry: JsonObject, given: JsonObject): JsonObject {
  const scores = scoresOf(entry);
  if (!scores) return given;
  const { units, filters, activation } = scores["config"] as JsonObject;
  const was = scoresOf(expanded({ ...entry, config: given, [argumentsKey]: null }).entry);
  const before = was?.["config"] as JsonObject;
  const takesActivation = taskNamed(String(entry["class_name"]))?.head.hasActivation !== false;
  return {
    ...given,
    ...(units !== before["units"] && { num_classes: units ?? null }),
    ...(filters !== before["filters"] && { num_classes: filters ?? null }),
    ...(takesActivation && activation !== before["activation"] && { activation: activation ?? null }),
  };
}

/** Returns the entry of the layer with a task's scores. */
function scoresOf(entry: JsonObject): JsonObject | undefined {
  const path = taskNamed(String(entry["class_name"]))?.head.scores.split("/") ?? [];
  return path.reduce<JsonObject | undefined>(
    (model, name) => (model && layersOf(model))?.filter(isObject).find((layer) => entryName(layer) === name),
    path.length > 0 ? entry : undefined,
  );
}

/** Returns `entry` with the scores of `other`, which may spell out Keras's defaults. */
function scoresAlike(entry: JsonObject, other: JsonObject): JsonObject {
  const [own, others] = [scoresOf(entry), scoresOf(other)];
  if (!own || !others) return entry;
  const keys = ["name", "units", "filters", "activation", "dtype"];
  const [mine, theirs] = [own["config"] as JsonObject, others["config"] as JsonObject];
  const isAlike =
    keys.every((key) => isSame(mine[key] ?? null, theirs[key] ?? null)) &&
    (theirs["use_bias"] !== false) === (mine["use_bias"] !== false);
  if (!isAlike) return entry;
  return editLayers(entry, ({ json }) => (json === own ? { ...own, config: theirs } : json));
}

/** Layers of KerasHub that are no layers of Keras here. */
const layersOfHub: ReadonlySet<Json> = new Set(["DisentangledSelfAttention", "RelativeEmbedding"]);

/**
 * Returns the config as plain functional models throughout, which every Keras 3 opens.
 * @throws {TopologyError} naming a layer that Keras does not have.
 */
export function withoutHub(modelConfig: JsonObject): JsonObject {
  return editLayers(
    plainEntry(modelConfig),
    ({ path, json }) => {
      if (!layersOfHub.has(json["class_name"] ?? null)) return plainEntry(json);
      throw new TopologyError(
        `${path}: KerasHub's ${String(json["class_name"])} is no layer of Keras, so that the model cannot be a plain one. Leave out ${optionName("flat")} and write .keras.`,
        "not-of-keras",
      );
    },
    ({ json }) => plainEntry(json),
  );
}

/** Returns an entry without what tells of KerasHub. */
function plainEntry(entry: JsonObject): JsonObject {
  const own: readonly string[] = [argumentsKey, attributeKey, classKey, variableKey];
  const plain = inPlainClass(entry);
  if (!own.some((key) => key in entry)) return plain;
  return Object.fromEntries(Object.entries(plain).filter(([key]) => !own.includes(key)));
}

function inPlainClass(entry: JsonObject): JsonObject {
  const isHub = String(entry["registered_name"] ?? "").startsWith("keras_hub>") || argumentsKey in entry;
  if (!isHub) return entry;
  const { build_config: _build, ...rest } = entry;
  return {
    ...rest,
    module: "keras.src.models.functional",
    class_name: "Functional",
    registered_name: "Functional",
  };
}

/** Returns whether a model was built from a class of KerasHub, or holds one that was. */
export function holdsHub(modelConfig: JsonObject): boolean {
  return (
    argumentsKey in modelConfig ||
    (layersOf(modelConfig) ?? []).some((layer) => isObject(layer) && layersOf(layer) && holdsHub(layer))
  );
}

/** Returns whether a model that was built from a class of KerasHub is no longer what that class builds. */
export function leavesHub(modelConfig: JsonObject): boolean {
  return argumentsKey in modelConfig && asHubClass(modelConfig) === undefined;
}

/** Returns the warning that a format does not keep a class of KerasHub. */
export function flatWarning(ending: string): string {
  return `Saved as ${ending}, the model of KerasHub becomes a plain functional model with the same layers and weights, which Keras 3 opens without KerasHub.`;
}

/** Returns the arguments of the KerasHub class of a model, undefined if it has none. */
export function hubArguments(modelConfig: JsonObject): JsonObject | undefined {
  const given = modelConfig[argumentsKey];
  return isObject(given) ? given : undefined;
}

/** Keys that KerasHub's arguments do not decide, or that only repeat them. */
const passedOver: ReadonlySet<string> = new Set([
  "trainable",
  argumentsKey,
  "build_config",
  "shared_object_id",
]);

function isSame(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    const others: readonly Json[] = b;
    return a.length === b.length && a.every((item: Json, index) => isSame(item, others[index] ?? null));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)].filter((key) => !passedOver.has(key)));
  return [...keys].every((key) => key in a && key in b && isSame(a[key] ?? null, b[key] ?? null));
}

function nameOf(config: JsonObject): string {
  const name = config["name"];
  return typeof name === "string" ? name : "model";
}

function severalOutputs(className: string): TopologyError {
  return new TopologyError(
    `model config: KerasHub's ${className} alone returns the result of every stage, which is not read here; within its classifier it is. In Python save the part you need as a plain model, keras.Model(m.inputs, m.outputs[-1]).save("model.keras"), and take that file.`,
    "unsupported",
  );
}

function unknownClass(className: string): TopologyError {
  return new TopologyError(
    `model config: KerasHub's ${className} is not known here. In Python save it as a plain model, keras.Model(m.inputs, m.outputs).save("model.keras"), and take that file. A layer in it whose code is KerasHub's own is named then.`,
    "unknown-hub-class",
  );
}
