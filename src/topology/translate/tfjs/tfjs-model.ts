import type { Checkpoint, Json, JsonObject } from "../../../checkpoint.ts";
import { TopologyError } from "../../../errors.ts";
import { layerGraph } from "../../build-graph.ts";
import {
  type CallDescription,
  type LayerDescription,
  type ModelDescription,
  type NamedArgument,
  type TensorName,
  tensorNamesIn,
} from "../../dialects/description.ts";
import { readModel } from "../../dialects/read-model.ts";
import { type LayerGraph, layerAt, nodeAt, refKey } from "../../layer-graph.ts";
import { callsThatStayActive } from "../../stays-active.ts";
import { tfjsSteps } from "./layer-steps.ts";
import { refuseLostMasks } from "./mask-reach.ts";
import { type CallShapes, callShapes, sourceLayer } from "./source-layer.ts";
import { refuse, type SourceLayer, type TfjsStep } from "./step.ts";
import { tfjsWeightName, uniqueNames } from "./tfjs-names.ts";

/** A model for tfjs-layers, with the origin of its weights. */
export interface TfjsModel {
  /** Config `{ class_name, config }` in Keras 2's form, as `loadLayersModel` expects it. */
  readonly modelConfig: JsonObject;
  /** Weights in the order of the layers. */
  readonly weights: readonly TfjsWeight[];
  /** New path by old path of layers whose path changed. */
  readonly renamed: ReadonlyMap<string, string>;
}

/** A weight of a model for tfjs-layers. */
export interface TfjsWeight {
  /** Name by which tfjs-layers looks the weight up, such as `conv1/kernel`. */
  readonly name: string;
  /** Path of the Keras layer that holds the values. */
  readonly layer: string;
  /** Name of the weight in the Keras layer. */
  readonly weight: string;
  /** Shape in tfjs-layers if it differs from the weight's. */
  readonly shape?: readonly number[];
}

/**
 * Translates a model to one for tfjs-layers that computes the same. A layer that tfjs-layers lacks becomes several that
 * it has.
 * @throws {TopologyError} naming a layer that tfjs-layers cannot represent.
 */
export function tfjsModel(checkpoint: Checkpoint): TfjsModel {
  const graph = layerGraph(checkpoint);
  refuseLostMasks(graph);
  refuseTrainingCalls(graph);
  refuseRepeatedOutputs(graph);
  const translation: Translation = {
    checkpoint,
    shapes: callShapes(graph),
    names: uniqueNames(),
    weights: [],
    renamed: new Map(),
  };
  const model = readModel(checkpoint);
  const place: Place = { prefix: "", newPrefix: "", trainable: model.trainable };
  return { ...translation, modelConfig: emitModel(translation, model, place, model.name) };
}

/** Refuses calls with `training=True`, which Keras 2 respects in `predict` and tfjs-layers does not. */
function refuseTrainingCalls(graph: LayerGraph): void {
  const { normalizations, random } = callsThatStayActive(graph);
  const [first] = [...normalizations, ...random];
  if (first)
    refuse(layerAt(graph, first.layer), "ignores the argument training=True of its call in prediction");
}

function refuseRepeatedOutputs(graph: LayerGraph): void {
  const { outputs } = graph;
  const keys = outputs.map(({ ref }) => refKey(ref));
  const repeated = outputs.find(({ ref }, index) => keys.indexOf(refKey(ref)) < index);
  if (!repeated) return;
  const layer = layerAt(graph, nodeAt(graph, repeated.ref.node).layer);
  refuse(layer, "returns a tensor once, but it is several outputs of the model");
}

interface Translation {
  readonly checkpoint: Checkpoint;
  readonly shapes: ReadonlyMap<string, CallShapes>;
  readonly names: (wanted: string) => string;
  readonly weights: TfjsWeight[];
  readonly renamed: Map<string, string>;
}

/** Position of a model among nested models. */
interface Place {
  /** Prefix of its layers' paths in Keras. */
  readonly prefix: string;
  /** Prefix of its layers' paths in tfjs-layers. */
  readonly newPrefix: string;
  readonly trainable: boolean;
}

/** Layers that replace a Keras layer. Each is called once for each call of the Keras layer. */
interface Emitted {
  readonly entries: readonly Entry[];
  /** Name of the layer that returns the output. */
  readonly output: string;
  /** The layer is a nested model, whose calls are numbered from 1. */
  readonly isModel: boolean;
}

interface Entry {
  readonly name: string;
  readonly className: string;
  readonly config: JsonObject;
  readonly reads: TfjsStep["reads"];
}

function emitModel(
  translation: Translation,
  model: ModelDescription,
  place: Place,
  name: string,
): JsonObject {
  const order = needed(model);
  const emitted = new Map(order.map((layer) => [layer.name, emitLayer(translation, layer, place)]));
  const chain = [...emitted.values()].every(({ entries }) => entries.every(({ reads }) => !reads));
  if (model.kind === "sequential" && chain) {
    const layers = [...emitted.values()].flatMap(({ entries }) =>
      entries.map(({ className, config }) => ({ class_name: className, config })),
    );
    return { class_name: "Sequential", config: { name, layers } };
  }
  const layers = order.flatMap((layer) => functionalEntries(layer, emitted, place));
  const endpoints = (argument: NamedArgument): Json =>
    tensorNamesIn(argument).map((tensor) => reference(tensor, emitted));
  return {
    class_name: "Functional",
    config: {
      name,
      trainable: place.trainable,
      layers,
      input_layers: endpoints(model.inputs),
      output_layers: endpoints(model.outputs),
    },
  };
}

/**
 * Returns the layers that the outputs depend on and the inputs, in the model's order. Layers that only compute masks
 * are left out.
 */
function needed(model: ModelDescription): readonly LayerDescription[] {
  const byName = new Map(model.layers.map((layer) => [layer.name, layer]));
  const names = new Set(tensorNamesIn(model.inputs).map(({ layer }) => layer));
  const pending = tensorNamesIn(model.outputs).map(({ layer }) => layer);
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (names.has(name)) continue;
    names.add(name);
    for (const call of byName.get(name)?.calls ?? []) {
      pending.push(...tensorsRead(call).map(({ layer }) => layer));
    }
  }
  return model.layers.filter(({ name }) => names.has(name));
}

/** Lists the tensors that a call in tfjs-layers takes: the inputs, then the initial states. */
function tensorsRead({ args, kwargs }: CallDescription): readonly TensorName[] {
  const { mask: _mask, initial_state, ...rest } = kwargs;
  return [...args, ...Object.values(rest), ...(initial_state ? [initial_state] : [])].flatMap(tensorNamesIn);
}

function emitLayer(translation: Translation, layer: LayerDescription, place: Place): Emitted {
  const path = place.prefix + layer.name;
  const trainable = place.trainable && layer.trainable;
  const name = translation.names(layer.name);
  const newPath = place.newPrefix + name;
  if (path !== newPath) translation.renamed.set(path, newPath);
  if (layer.model) {
    const below: Place = { prefix: `${path}/`, newPrefix: `${newPath}/`, trainable };
    const { class_name, config } = emitModel(translation, layer.model, below, name);
    const entry = { name, className: String(class_name), config: config as JsonObject, reads: undefined };
    return { entries: [entry], output: name, isModel: true };
  }
  const source = sourceLayer(translation, layer, path);
  const steps = tfjsSteps(source);
  const main = steps.findIndex((step) => step.weighted && source.weights.length > 0);
  const named = main < 0 ? steps.length - 1 : main;
  const entries = steps.map((step, index): Entry => {
    const own = index === named ? name : translation.names(`${name}_${index + 1}`);
    if (index === main) addWeights(translation, source, step, name);
    return {
      name: own,
      className: step.className,
      config: { name: own, trainable, ...step.config },
      reads: step.reads,
    };
  });
  return { entries, output: entries.at(-1)?.name ?? name, isModel: false };
}

function addWeights(translation: Translation, layer: SourceLayer, step: TfjsStep, name: string): void {
  for (const { name: weight, dtype } of layer.weights) {
    if (weight.startsWith("lora_")) refuse(layer, "does not support LoRA");
    if (!dtype.includes("float") || /_(scale|zero)$/.test(weight))
      refuse(layer, "does not support quantized weights");
    const as = step.weightsAs?.[weight];
    const own = as?.name ?? tfjsWeightName(layer.className, layer.config, weight);
    const place = { name: `${name}/${own}`, layer: layer.path, weight };
    translation.weights.push(as ? { ...place, shape: as.shape } : place);
  }
}

function functionalEntries(
  layer: LayerDescription,
  emitted: ReadonlyMap<string, Emitted>,
  { prefix }: Place,
): readonly JsonObject[] {
  const { entries } = emittedOf(layer.name, emitted);
  return entries.map(({ name, className, config, reads }, index) => ({
    class_name: className,
    name,
    config,
    inbound_nodes: layer.calls.map((call, callIndex) => {
      const inputs = tensorsRead(call).map((tensor) => reference(tensor, emitted));
      const own = reads ?? (index === 0 ? undefined : [{ step: index - 1 }]);
      const sources = own
        ? own.map((read) =>
            "step" in read
              ? [entries[read.step]?.name ?? missing(prefix, layer), callIndex, 0]
              : (inputs[read.input] ?? missing(prefix, layer)),
          )
        : inputs;
      return sources.map((source) => [...source, {}]);
    }),
  }));
}

function missing(prefix: string, layer: LayerDescription): never {
  throw new TopologyError(
    `${prefix}${layer.name}: ${layer.className}: expected one more input, got none.`,
    "malformed",
  );
}

/**
 * Returns `[layer, call, output]`. Calls of a nested model are numbered from 1, since call 0 is the one that created
 * it.
 */
function reference(
  tensor: TensorName,
  emitted: ReadonlyMap<string, Emitted>,
): readonly [string, number, number] {
  const { output, isModel } = emittedOf(tensor.layer, emitted);
  return [output, isModel ? tensor.call + 1 : tensor.call, tensor.output];
}

function emittedOf(name: string, emitted: ReadonlyMap<string, Emitted>): Emitted {
  const layer = emitted.get(name);
  if (!layer) throw new Error(`tfjs model: layer ${name} was not emitted`);
  return layer;
}
