import type { Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { optionSetTo } from "../../options.ts";
import { isObject } from "../config-values.ts";
import {
  type CallDescription,
  type LayerDescription,
  type ModelDescription,
  type NamedArgument,
  tensorNamesIn,
} from "../dialects/description.ts";
import { readModel } from "../dialects/read-model.ts";
import { isTensorFlowFunction } from "../dialects/tf-ops.ts";
import { inModule } from "./keras-modules.ts";
import { keras3Layer, keras3Operation } from "./keras2-objects.ts";
import { endpoints, inboundNodes, type Naming } from "./keras3-nodes.ts";
import { knownTensors } from "./known-tensors.ts";
import { modelOrder } from "./model-order.ts";

/** A translated model config. */
export interface Translation {
  readonly modelConfig: JsonObject;
  /** New path by old path of layers whose path changed, since Keras 3 allows no slash in a name. */
  readonly renamed: ReadonlyMap<string, string>;
}

/**
 * Translates a Keras 2 model config to Keras 3's `.keras` dialect, with layers in Keras 3's order.
 * @throws {TopologyError} naming a layer that Keras 3 does not have.
 */
export function keras2ToKeras3(modelConfig: JsonObject, kerasVersion: string): Translation {
  const renamed = new Map<string, string>();
  const innerModel = (path: string, entry: JsonObject): JsonObject =>
    inSameOrder(path, entry, keras2ToKeras3(entry, kerasVersion).modelConfig);
  const translate = (
    entry: JsonObject,
    model: ModelDescription,
    prefix: string,
    newPrefix: string,
  ): JsonObject => {
    const entries = layerEntries(entry);
    const newNames = slashless(model.layers.map((layer) => layer.name));
    const rename = (name: string): string => newNames.get(name) ?? name;
    const layer = (description: LayerDescription): JsonObject => {
      const { name } = description;
      const path = prefix + name;
      const newName = rename(name);
      const newPath = newPrefix + newName;
      if (path !== newPath) renamed.set(path, newPath);
      const json = entries.get(name);
      if (description.model && json) {
        const inner = translate(json, description.model, `${path}/`, `${newPath}/`);
        return withName(inner, newName);
      }
      const isFunction = json
        ? isTensorFlowFunction(String(json["class_name"]))
        : description.className !== "InputLayer";
      if (isFunction && !isTensorFlowFunction(description.className)) {
        return withName(keras3Operation(description), newName);
      }
      return withName(keras3Layer(path, json ?? inputEntry(description), innerModel), newName);
    };
    return entry["class_name"] === "Sequential"
      ? sequential(model, layer)
      : functional(model, layer, namingOf(entry, kerasVersion, model, rename));
  };
  return { modelConfig: translate(modelConfig, readModel({ modelConfig, kerasVersion }), "", ""), renamed };
}

/**
 * Returns the translated model inside a wrapper. The wrapper's weights are in the order of the model's layers.
 * @throws {TopologyError} if Keras 3 orders these layers differently.
 */
function inSameOrder(path: string, entry: JsonObject, translated: JsonObject): JsonObject {
  const namesIn = (model: JsonObject): string[] =>
    [...layerEntries(model)]
      .filter(([, layer]) => layer["class_name"] !== "InputLayer")
      .map(([name]) => name);
  const before = namesIn(entry);
  const newNames = slashless(before);
  if (before.map((name) => newNames.get(name) ?? name).join() === namesIn(translated).join())
    return translated;
  throw new TopologyError(
    `${path}: inner model: expected its layers in Keras 3's order, got ${before.join(", ")}. Write .h5 (${optionSetTo("outputFormat", "h5")}), which keeps the model unchanged.`,
    "untranslatable",
  );
}

function functional(
  model: ModelDescription,
  layer: (description: LayerDescription) => JsonObject,
  naming: Naming,
): JsonObject {
  const byName = new Map(model.layers.map((description) => [description.name, description]));
  const layers = modelOrder(model).map((name): JsonObject => {
    const description = byName.get(name);
    if (!description) throw new Error(`keras2 model: no layer named ${name}`);
    return {
      ...layer(description),
      name: naming.rename(name),
      inbound_nodes: inboundNodes(
        description.calls.map((call) => withArrays(description, withNamedStates(description, call), naming)),
        naming,
      ),
    };
  });
  const config = {
    name: model.name,
    trainable: model.trainable,
    layers,
    input_layers: endpoints(lone(model.inputs), naming),
    output_layers: endpoints(lone(model.outputs), naming),
  };
  return {
    module: "keras.src.models.functional",
    class_name: "Functional",
    config,
    registered_name: "Functional",
  };
}

const startsFromStates: ReadonlySet<string> = new Set(
  "SimpleRNN LSTM GRU RNN ConvLSTM1D ConvLSTM2D ConvLSTM3D Bidirectional".split(" "),
);

/**
 * Moves the initial states of a recurrent layer, which Keras 2 lists after the sequence, to Keras 3's `initial_state`.
 */
function withNamedStates({ className }: LayerDescription, call: CallDescription): CallDescription {
  if (!startsFromStates.has(className)) return call;
  const { initial_state: _state, constants: _constants, ...kwargs } = call.kwargs;
  const [inputs] = call.args;
  const [sequence, ...states] = inputs?.kind === "list" ? inputs.items : [];
  if (!sequence || states.length === 0) return { ...call, kwargs };
  return { args: [sequence], kwargs: { ...kwargs, initial_state: { kind: "list", items: states } } };
}

/**
 * Unwraps a single input or output, which Keras 2 writes as a list of one; in Keras 3 the model would take and return
 * lists.
 */
function lone(argument: NamedArgument): NamedArgument {
  if (argument.kind !== "list") return argument;
  const [only, ...others] = argument.items;
  return only && others.length === 0 ? only : argument;
}

function sequential(
  model: ModelDescription,
  layer: (description: LayerDescription) => JsonObject,
): JsonObject {
  const layers = model.layers.map(layer);
  const input = layers[0]?.["config"];
  const shape = isObject(input) ? (input["batch_shape"] ?? null) : null;
  return inModule(
    {
      class_name: "Sequential",
      config: { name: model.name, trainable: true, layers, build_input_shape: shape },
    },
    "keras",
  );
}

/**
 * Converts lists of numbers among an operation's arguments to arrays as Keras 3 expects, except for the index of
 * GetItem.
 */
function withArrays({ className }: LayerDescription, call: CallDescription, naming: Naming): CallDescription {
  if (!className.startsWith("ops.") || className === "ops.GetItem") return call;
  const isWhole = call.args
    .flatMap(tensorNamesIn)
    .every((tensor) => naming.tensor(tensor).dtype.startsWith("int"));
  return {
    ...call,
    args: call.args.map((argument, index) => {
      if (argument.kind !== "value" || !Array.isArray(argument.value)) return argument;
      const numbers = (argument.value as readonly unknown[]).flat(Number.POSITIVE_INFINITY);
      const isIndex = className === "ops.Take" && index === 1;
      const dtype = isIndex || (isWhole && numbers.every(Number.isInteger)) ? "int32" : "float32";
      const array = { class_name: "__numpy__", config: { value: argument.value, dtype } };
      return { kind: "value", value: array };
    }),
  };
}

function namingOf(
  entry: JsonObject,
  kerasVersion: string,
  model: ModelDescription,
  rename: (name: string) => string,
): Naming {
  const byName = new Map(model.layers.map((layer) => [layer.name, layer]));
  const entries = layerEntries(entry);
  return {
    rename,
    tensor: knownTensors(entry, kerasVersion, model),
    isFunctional: (name) =>
      byName.get(name)?.model !== undefined && entries.get(name)?.["class_name"] !== "Sequential",
  };
}

/** Creates the config entry of an InputLayer that a Sequential does not write. */
function inputEntry(description: LayerDescription): JsonObject {
  const { batch_shape, dtype } = description.config;
  return {
    class_name: "InputLayer",
    config: { batch_shape: batch_shape ?? null, dtype: dtype ?? "float32", name: description.name },
  };
}

function layerEntries(entry: JsonObject): ReadonlyMap<string, JsonObject> {
  const config = entry["config"];
  const layers: readonly Json[] = Array.isArray(config)
    ? config
    : isObject(config) && Array.isArray(config["layers"])
      ? config["layers"]
      : [];
  return new Map(
    layers.filter(isObject).map((layer) => {
      const own = layer["config"];
      return [String(layer["name"] ?? (isObject(own) ? own["name"] : undefined) ?? ""), layer];
    }),
  );
}

function withName(entry: JsonObject, name: string): JsonObject {
  const config = entry["config"];
  return isObject(config) && config["name"] !== name ? { ...entry, config: { ...config, name } } : entry;
}

/** Maps each name with a slash to a unique name without one. */
function slashless(names: readonly string[]): ReadonlyMap<string, string> {
  const taken = new Set(names);
  const renamed = new Map<string, string>();
  for (const name of names) {
    if (!name.includes("/")) continue;
    let candidate = name.replaceAll("/", "_");
    while (taken.has(candidate)) candidate = `${candidate}_1`;
    taken.add(candidate);
    renamed.set(name, candidate);
  }
  return renamed;
}
