import type { Checkpoint, Json, JsonObject } from "../../checkpoint.ts";
import { TopologyError } from "../../errors.ts";
import { isObject } from "../config-values.ts";
import { customSpecOf, lambdaClass } from "../custom-layers.ts";
import type { KerasMajor } from "../layer-graph.ts";
import { classNameOf } from "./class-names.ts";
import type {
  CallDescription,
  LayerDescription,
  ModelDescription,
  NamedArgument,
  TensorName,
} from "./description.ts";
import { kerasMajor } from "./dialect.ts";
import { readEndpoints } from "./endpoints.ts";
import { innerModelEntry } from "./inner-model.ts";
import { keras1ToKeras2 } from "./keras1-model.ts";
import { readKeras2Call } from "./keras2-calls.ts";
import { readKeras3Call } from "./keras3-calls.ts";
import { knownConfig, modernConfig, ofRelease } from "./layer-config.ts";
import { functionOfNode, packedItems } from "./node-def.ts";
import type { ModelEntry, NodeIndices } from "./node-indices.ts";
import { nodeIndices } from "./node-indices.ts";
import { packageLayer } from "./package-layers.ts";
import { inputShapeOf } from "./sequential.ts";
import { isTensorFlowFunction, type ModernOp, modernTfOp, withoutUnread } from "./tf-ops.ts";

/**
 * Reads the model config of any version of Keras as one description. @throws {TopologyError} naming a malformed entry.
 */
export function readModel(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): ModelDescription {
  const keras = kerasMajor(checkpoint.kerasVersion);
  const entry = modelEntry(keras === 1 ? keras1ToKeras2(checkpoint.modelConfig) : checkpoint.modelConfig);
  if (!entry) {
    throw new TopologyError(
      `model config: expected a Sequential or Functional model with its layers, got class ${JSON.stringify(
        checkpoint.modelConfig["class_name"] ?? null,
      )}. The graph of a subclassed model is in its Python code: save a functional model instead.`,
      "unsupported-model",
    );
  }
  return readEntry(entry, { keras, kerasVersion: checkpoint.kerasVersion, prefix: "" });
}

interface Place {
  readonly keras: KerasMajor;
  readonly kerasVersion: string;
  /** Path of the model that is read with a slash (`resnet50/`), empty for the outermost one. */
  readonly prefix: string;
}

/** Returns the config and layer entries of a model's entry, undefined for the entry of a layer. */
function modelEntry(json: JsonObject): ModelEntry | undefined {
  const config = json["config"];
  const className = json["class_name"];
  if (Array.isArray(config) && className === "Sequential") {
    return { kind: "sequential", name: nameOf(json, {}), json, config: {}, layers: config };
  }
  if (!isObject(config) || !Array.isArray(config["layers"])) return undefined;
  const layers: readonly Json[] = config["layers"];
  const name = nameOf(json, config);
  if ("output_layers" in config) return { kind: "functional", name, json, config, layers };
  return className === "Sequential" ? { kind: "sequential", name, json, config, layers } : undefined;
}

function nameOf(json: JsonObject, config: JsonObject): string {
  const name = json["name"] ?? config["name"];
  if (typeof name === "string") return name;
  return String(json["class_name"] ?? "model").toLowerCase();
}

function readEntry(entry: ModelEntry, place: Place): ModelDescription {
  return entry.kind === "sequential" ? readSequential(entry, place) : readFunctional(entry, place);
}

function readFunctional(entry: ModelEntry, place: Place): ModelDescription {
  const entries = entry.layers.map((layer) => layerEntry(layer, entry, place));
  const indices = nodeIndices(entries, entry.config, place.keras);
  const calls = new Map(entries.map((layer) => [layer.name, callsOf(layer, indices, place)]));
  const byName = new Map(entries.map((layer) => [layer.name, layer]));
  const listed: ListedItems = ({ layer }) => {
    const config = byName.get(layer)?.json["config"];
    const call = calls.get(layer)?.[0];
    return call && isObject(config) ? packedItems(config, call) : undefined;
  };
  const layers = entries.flatMap((layer) => readLayers(layer, place, calls.get(layer.name) ?? [], listed));
  refuseDuplicates(layers, place);
  const outputs = readEndpoints(entry, "output_layers", indices, place.prefix);
  return {
    name: entry.name,
    kind: "functional",
    trainable: entry.config["trainable"] !== false,
    layers: place.keras === 3 ? layers : withoutUnread(layers, outputs),
    inputs: readEndpoints(entry, "input_layers", indices, place.prefix),
    outputs,
  };
}

function readSequential(entry: ModelEntry, place: Place): ModelDescription {
  const entries = entry.layers.map((layer) => layerEntry(layer, entry, place));
  const [first] = entries;
  const hasInput = first !== undefined && classNameOf(first.json, place.keras) === "InputLayer";
  const input = hasInput ? first : syntheticInput(entry, entries, place);
  const chain = hasInput ? entries : [input, ...entries];
  const layers = chain.flatMap((layer, index) => {
    const previous = chain[index - 1];
    return readLayers(layer, place, previous ? [callOn(previous.name)] : []);
  });
  refuseDuplicates(layers, place);
  return {
    name: entry.name,
    kind: "sequential",
    // Keras 3 drops the flag of a Sequential when it reads a file; Keras 1 and 2 write none.
    trainable: true,
    layers,
    inputs: tensorOf(input.name),
    outputs: tensorOf((chain.at(-1) ?? input).name),
  };
}

/** Entry of a layer with its name and, for a nested model, that model's entry. */
export interface LayerEntry {
  readonly name: string;
  readonly json: JsonObject;
  readonly model?: ModelEntry;
}

function layerEntry(json: Json, model: ModelEntry, place: Place): LayerEntry {
  const where = place.prefix + model.name;
  if (!isObject(json)) {
    throw new TopologyError(`${where}: layers: expected objects, got ${JSON.stringify(json)}.`, "malformed");
  }
  const nested = modelEntry(json);
  const config = json["config"];
  const name = json["name"] ?? (isObject(config) ? config["name"] : undefined) ?? nested?.name;
  if (typeof name !== "string" || name === "" || typeof json["class_name"] !== "string") {
    throw new TopologyError(
      `${where}: layers: expected each with a name and a class_name, got ${JSON.stringify(json).slice(0, 120)}.`,
      "malformed",
    );
  }
  if (!nested && !isObject(config)) {
    throw new TopologyError(
      `${place.prefix}${name}: config: expected an object, got ${JSON.stringify(config ?? null).slice(0, 80)}.`,
      "malformed",
    );
  }
  return nested ? { name, json, model: { ...nested, name } } : { name, json };
}

/** Reads a layer, preceded by the operations that a TensorFlow function needs before it. */
function readLayers(
  entry: LayerEntry,
  place: Place,
  calls: readonly CallDescription[],
  listed?: ListedItems,
): readonly LayerDescription[] {
  const { name, json, model } = entry;
  const written = classNameOf(json, place.keras);
  const isKnownLambda = written === "Lambda" && customSpecOf(lambdaClass(name)) !== undefined;
  const className = isKnownLambda ? lambdaClass(name) : written;
  const known = model ? undefined : packageLayer(className, json["config"] as JsonObject);
  if (model) {
    const inner = readEntry(model, { ...place, prefix: `${place.prefix}${name}/` });
    return [
      {
        name,
        className,
        keras: place.keras,
        trainable: inner.trainable,
        config: {},
        calls,
        model: inner,
      },
    ];
  }
  const config = json["config"] as JsonObject;
  const op = modernFunction(className, config, calls, listed);
  const { trainable } = known?.config ?? config;
  const common = { keras: place.keras, trainable: trainable !== false };
  if (!op) {
    const modern = known
      ? knownConfig(className, known, place.keras)
      : modernConfig(className, config, place.keras);
    const runs = known?.className ?? className;
    const own = withInnerModels(ofRelease(runs, modern, place.kerasVersion), {
      ...place,
      prefix: `${place.prefix}${name}/`,
    });
    return [{ ...common, name, className: runs, config: own, calls }];
  }
  return [...(op.before ?? []), { ...op, name }].map((step) => ({
    ...common,
    name: step.name,
    className: step.className,
    config: modernConfig(step.className, step.config, 3),
    calls: [step.call],
  }));
}

/** Replaces the models that wrappers contain, at any depth, by their descriptions. */
function withInnerModels(config: JsonObject, place: Place): JsonObject {
  const inner = config["layer"];
  if (!isObject(inner)) return config;
  const entry = modelEntry(inner);
  const layer = entry
    ? innerModelEntry(readEntry(entry, place))
    : isObject(inner["config"])
      ? { ...inner, config: withInnerModels(inner["config"], place) }
      : inner;
  return layer === inner ? config : { ...config, layer };
}

/** Returns the items of a tensor that a node packs from them, undefined for any other tensor. */
type ListedItems = (tensor: TensorName) => readonly NamedArgument[] | undefined;

/**
 * Converts a TensorFlow function to Keras 3. Returns undefined for a layer, and if Keras 3 has no equivalent operation.
 */
function modernFunction(
  className: string,
  config: JsonObject,
  calls: readonly CallDescription[],
  listed?: ListedItems,
): ModernOp | undefined {
  const [call] = calls;
  if (!call || calls.length > 1) return undefined;
  if (className === "TensorFlowOpLayer") {
    const found = functionOfNode(config, call, listed);
    return found && modernTfOp(found.config, found.call);
  }
  return isTensorFlowFunction(className) ? modernTfOp(config, call) : undefined;
}

function callsOf(entry: LayerEntry, indices: NodeIndices, place: Place): CallDescription[] {
  const nodes = entry.json["inbound_nodes"] ?? [];
  const path = place.prefix + entry.name;
  if (!Array.isArray(nodes)) {
    throw new TopologyError(`${path}: inbound_nodes: expected a list, got ${typeof nodes}.`, "malformed");
  }
  const nameTensor = (layer: string, node: number, output: number) => ({
    layer,
    call: indices.inbound(layer, node, path),
    output,
  });
  return (nodes as readonly Json[]).map((node) =>
    isObject(node) && "args" in node
      ? readKeras3Call(node, nameTensor)
      : readKeras2Call(node, nameTensor, indices.isLayer),
  );
}

/** Creates the entry of an InputLayer for a Sequential that has none, named as Keras names it. */
function syntheticInput(entry: ModelEntry, layers: readonly LayerEntry[], place: Place): LayerEntry {
  const taken = new Set(layers.map((layer) => layer.name));
  let name = place.keras === 3 || !layers[0] ? "input_layer" : `${layers[0].name}_input`;
  while (taken.has(name)) name = `${name}_1`;
  const shape = inputShapeOf(entry);
  return {
    name,
    json: { class_name: "InputLayer", config: { name, batch_shape: shape, dtype: "float32" } },
  };
}

function callOn(layer: string): CallDescription {
  return { args: [tensorOf(layer)], kwargs: {} };
}

function tensorOf(layer: string): NamedArgument {
  return { kind: "tensor", tensor: { layer, call: 0, output: 0 } };
}

function refuseDuplicates(layers: readonly LayerDescription[], place: Place): void {
  const names = new Set<string>();
  for (const { name } of layers) {
    if (names.has(name)) {
      throw new TopologyError(
        `${place.prefix}${name}: layer name: expected to be unique in its model, got it twice.`,
        "malformed",
      );
    }
    names.add(name);
  }
}
