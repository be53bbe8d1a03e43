import type { Checkpoint, Json, JsonObject } from "../checkpoint.ts";
import { TopologyError } from "../errors.ts";
import type { Shape } from "../tensor.ts";
import { formatShape } from "../tensor.ts";
import { isObject } from "../topology/config-values.ts";
import { kerasMajor } from "../topology/dialects/dialect.ts";
import { entryName, layersOf, withLayers } from "../topology/edit-config.ts";
import { type KerasMajor, type LayerGraph, tensorAt } from "../topology/layer-graph.ts";

/** A model config with an appended head. */
export interface AppendedHead {
  readonly modelConfig: JsonObject;
  /** Paths of the appended layers. */
  readonly newLayers: readonly string[];
}

/**
 * Appends a Dense layer to the model's output, after a GlobalAveragePooling layer if the output has spatial dimensions
 * and `perPosition` is false.
 * @throws {TopologyError} if the output is not of rank 2 to 5.
 */
export function appendHead(
  checkpoint: Checkpoint,
  graph: LayerGraph,
  {
    units,
    activation,
    perPosition = false,
  }: { readonly units: number; readonly activation: string; readonly perPosition?: boolean },
): AppendedHead {
  const [output] = graph.outputs;
  if (!output)
    throw new TopologyError(`${graph.name}: new head: expected an output, got none.`, "head-output");
  const { shape } = tensorAt(graph, output.ref);
  if (shape === null || shape.length < 2 || shape.length > 5) {
    throw new TopologyError(
      `${output.name}: new head: expected an output of rank 2 to 5, got ${shape ? formatShape(shape) : "an output of unknown shape"}.`,
      "head-output",
    );
  }
  const form = entryForm(checkpoint);
  const channelsFirst = graph.layers.some((layer) => layer.config["data_format"] === "channels_first");
  const pooled: Shape = [null, (channelsFirst && shape.length > 2 ? shape[1] : shape.at(-1)) ?? null];
  const name = (wanted: string): string => freeName(checkpoint.modelConfig, wanted);
  const entries: NewEntry[] = [];
  if (shape.length > 2 && !perPosition) {
    const rank = shape.length - 2;
    const config = poolingConfig(form, channelsFirst ? "channels_first" : "channels_last");
    entries.push({
      className: `GlobalAveragePooling${rank}D`,
      name: name(`global_average_pooling${rank}d`),
      config,
      input: shape,
    });
  }
  entries.push({
    className: "Dense",
    name: name("predictions"),
    config: denseConfig(form, { units, activation }),
    input: perPosition ? shape : pooled,
  });
  const isSequential = checkpoint.modelConfig["class_name"] === "Sequential";
  const modelConfig = isSequential
    ? withLayers(checkpoint.modelConfig, (layers) => [
        ...layers,
        ...entries.map((entry) => entryJson(form, entry, null)),
      ])
    : appendToFunctional(checkpoint.modelConfig, form, entries);
  return { modelConfig, newLayers: entries.map((entry) => entry.name) };
}

/** A layer to be appended. */
interface NewEntry {
  readonly className: string;
  readonly name: string;
  readonly config: JsonObject;
  readonly input: Shape;
}

/** The form in which the file writes layer entries. */
interface EntryForm {
  readonly keras: KerasMajor;
  /** True if entries name the module of their class, as `.keras` files do and `.h5` files do not. */
  readonly modules: boolean;
  /** True if the layers of this file have a dtype. */
  readonly dtypes: boolean;
}

function entryForm({ modelConfig, kerasVersion }: Checkpoint): EntryForm {
  const layers = (layersOf(modelConfig) ?? []).filter(isObject);
  const configs = layers
    .filter((layer) => layer["class_name"] !== "InputLayer")
    .map((layer) => layer["config"]);
  return {
    keras: kerasMajor(kerasVersion),
    modules: "module" in modelConfig || layers.some((layer) => "module" in layer),
    dtypes: configs.some((config) => isObject(config) && "dtype" in config),
  };
}

/** Returns a layer name that the model does not have yet: `wanted`, or `wanted_1`, … */
function freeName(modelConfig: JsonObject, wanted: string): string {
  const taken = new Set((layersOf(modelConfig) ?? []).filter(isObject).map(entryName));
  let name = wanted;
  for (let count = 1; taken.has(name); count++) name = `${wanted}_${count}`;
  return name;
}

function poolingConfig({ keras }: EntryForm, dataFormat: string): JsonObject {
  if (keras === 1) return { dim_ordering: dataFormat === "channels_first" ? "th" : "tf" };
  return keras === 2 ? { data_format: dataFormat } : { data_format: dataFormat, keepdims: false };
}

function denseConfig(
  { keras }: EntryForm,
  { units, activation }: { readonly units: number; readonly activation: string },
): JsonObject {
  if (keras === 1) {
    return {
      output_dim: units,
      activation,
      init: "glorot_uniform",
      bias: true,
      W_regularizer: null,
      b_regularizer: null,
      activity_regularizer: null,
      W_constraint: null,
      b_constraint: null,
    };
  }
  const initializers =
    keras === 3
      ? { kernel: keras3Initializer("GlorotUniform", { seed: null }), bias: keras3Initializer("Zeros", {}) }
      : { kernel: keras2Glorot, bias: { class_name: "Zeros", config: {} } };
  return {
    units,
    activation,
    use_bias: true,
    kernel_initializer: initializers.kernel,
    bias_initializer: initializers.bias,
    kernel_regularizer: null,
    bias_regularizer: null,
    kernel_constraint: null,
    bias_constraint: null,
  };
}

/** Glorot uniform in a form that every release of Keras 2 reads. */
const keras2Glorot: JsonObject = {
  class_name: "VarianceScaling",
  config: { scale: 1, mode: "fan_avg", distribution: "uniform", seed: null },
};

function keras3Initializer(className: string, config: JsonObject): JsonObject {
  return { module: "keras.initializers", class_name: className, config, registered_name: null };
}

function entryJson({ keras, modules, dtypes }: EntryForm, entry: NewEntry, inbound: Json): JsonObject {
  const dtype: Json = keras === 3 ? float32Policy : "float32";
  return {
    ...(modules && { module: "keras.layers" }),
    class_name: entry.className,
    config: { name: entry.name, trainable: true, ...(dtypes && { dtype }), ...entry.config },
    ...(modules && { registered_name: null, build_config: { input_shape: entry.input } }),
    ...(inbound !== null && { name: entry.name, inbound_nodes: inbound }),
  };
}

const float32Policy: JsonObject = {
  module: "keras",
  class_name: "DTypePolicy",
  config: { name: "float32" },
  registered_name: null,
};

function appendToFunctional(
  modelConfig: JsonObject,
  form: EntryForm,
  entries: readonly NewEntry[],
): JsonObject {
  const config = modelConfig["config"] as JsonObject;
  const [layer, node, output] = firstTriple(config["output_layers"] ?? null);
  let source: Triple = [layer, inboundIndex(modelConfig, form, layer, node), output];
  const added = entries.map((entry) => {
    const json = entryJson(form, entry, inboundNodes(form, source, entry.input));
    source = [entry.name, 0, 0];
    return json;
  });
  const appended = withLayers(modelConfig, (layers) => [...layers, ...added]);
  const outputLayers = withFirstTriple(config["output_layers"] ?? null, source);
  return { ...appended, config: { ...(appended["config"] as JsonObject), output_layers: outputLayers } };
}

/** A tensor in a config: layer, index of its call, index of the output. */
type Triple = readonly [string, number, number];

function isTriple(json: Json): json is Triple & Json {
  return Array.isArray(json) && json.length === 3 && typeof json[0] === "string";
}

/** Finds the first `["x", 0, 0]`, alone or inside a list or a record. */
function firstTriple(json: Json): Triple {
  if (isTriple(json)) return json;
  const items: readonly Json[] = Array.isArray(json) ? json : isObject(json) ? Object.values(json) : [];
  const [first] = items;
  if (first !== undefined) return firstTriple(first);
  throw new TopologyError(
    "model config: output_layers: expected [layer, node, output], got none.",
    "malformed",
  );
}

function withFirstTriple(json: Json, triple: Triple): Json {
  if (isTriple(json)) return triple;
  if (Array.isArray(json)) return json.map((item: Json) => withFirstTriple(item, triple));
  if (!isObject(json)) return json;
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, withFirstTriple(item, triple)]));
}

/**
 * Converts the index of a call from `output_layers` to `inbound_nodes`. Keras 3 counts the calls of a nested functional
 * model from 1 in the former and from 0 in the latter.
 */
function inboundIndex(modelConfig: JsonObject, { keras }: EntryForm, layer: string, node: number): number {
  const entry = (layersOf(modelConfig) ?? [])
    .filter(isObject)
    .find((candidate) => entryName(candidate) === layer);
  const config = entry?.["config"];
  const isFunctional = isObject(config) && "output_layers" in config;
  return keras === 3 && isFunctional ? Math.max(0, node - 1) : node;
}

function inboundNodes({ keras }: EntryForm, [layer, node, output]: Triple, shape: Shape): Json {
  if (keras !== 3) return [[[layer, node, output, {}]]];
  const tensor = {
    class_name: "__keras_tensor__",
    config: { shape, dtype: "float32", keras_history: [layer, node, output] },
  };
  return [{ args: [tensor], kwargs: {} }];
}
