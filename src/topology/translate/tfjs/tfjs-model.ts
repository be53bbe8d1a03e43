import type { Checkpoint, Json, JsonObject } from "../../../checkpoint.ts";
import { TopologyError } from "../../../errors.ts";
import type { Shape } from "../../../tensor.ts";
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
import { type LayerGraph, layerAt, refKey } from "../../layer-graph.ts";
import { callsThatStayActive } from "../../stays-active.ts";
import { tfjsSteps } from "./layer-steps.ts";
import { refuseLostMasks } from "./mask-reach.ts";
import { refuse, type SourceLayer, type TfjsStep } from "./step.ts";
import { tfjsWeightName, uniqueNames } from "./tfjs-names.ts";

/** A model in the words of tfjs-layers, and where its weights come from. */
export interface TfjsModel {
  /** `{ class_name, config }` in Keras 2's form, as `loadLayersModel` reads it. */
  readonly modelConfig: JsonObject;
  /** In the order of the layers. */
  readonly weights: readonly TfjsWeight[];
  /** New path by old path, of the layers whose path changed. */
  readonly renamed: ReadonlyMap<string, string>;
}

export interface TfjsWeight {
  /** `conv1/kernel`, as tfjs-layers looks it up. */
  readonly name: string;
  readonly layer: string;
  readonly weight: string;
  /** Where it is another than the weight's own. */
  readonly shape?: readonly number[];
}

/**
 * The model for tfjs-layers, where it computes the same: layers that it has not become several that it has. Pure.
 * @throws {TopologyError} naming the layer that it cannot represent.
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

/** What Keras 2 runs in `predict` as in training; `predict` of tfjs-layers does not. */
function refuseTrainingCalls(graph: LayerGraph): void {
  const { normalizations, random } = callsThatStayActive(graph);
  const [first] = [...normalizations, ...random];
  if (first) refuse(layerAt(graph, first.layer), "predicts without training=True, which it is called with");
}

function refuseRepeatedOutputs(graph: LayerGraph): void {
  const { outputs, nodes } = graph;
  const keys = outputs.map(({ ref }) => refKey(ref));
  const repeated = outputs.find(({ ref }, index) => keys.indexOf(refKey(ref)) < index);
  if (!repeated) return;
  const layer = layerAt(graph, nodes[repeated.ref.node]!.layer);
  refuse(layer, "gives an output once, and it is several outputs of the model");
}

interface Translation {
  readonly checkpoint: Checkpoint;
  readonly shapes: ReadonlyMap<string, Shapes>;
  readonly names: (wanted: string) => string;
  readonly weights: TfjsWeight[];
  readonly renamed: Map<string, string>;
}

interface Shapes {
  readonly inputs: readonly Shape[];
  readonly outputs: readonly Shape[];
}

/** Where a model stands: the prefix of its layers' paths before and after, and whether it trains. */
interface Place {
  readonly prefix: string;
  readonly newPrefix: string;
  readonly trainable: boolean;
}

/** What a layer became: the layers that stand for it, each with one call for each call of its own. */
interface Emitted {
  readonly entries: readonly Entry[];
  /** The layer that gives its output, and whether calls to it count from 1. */
  readonly output: string;
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

/** The layers that inputs and outputs need, in the model's order: without those that compute masks. */
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

/** What a call reads in tfjs-layers: its tensors, behind them the states that it starts from. */
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
  const names = steps.map((_, index) =>
    index === (main < 0 ? steps.length - 1 : main) ? name : translation.names(`${name}_${index + 1}`),
  );
  if (main >= 0) addWeights(translation, source, steps[main]!, name);
  const entries = steps.map((step, index): Entry => {
    const own = names[index]!;
    return {
      name: own,
      className: step.className,
      config: { name: own, trainable, ...step.config },
      reads: step.reads,
    };
  });
  return { entries, output: names.at(-1)!, isModel: false };
}

function sourceLayer(
  { checkpoint, shapes }: Translation,
  layer: LayerDescription,
  path: string,
): SourceLayer {
  const { className, config, keras, calls } = layer;
  const { inputs = [], outputs = [] } = shapes.get(path) ?? {};
  const source = { path, className, config, keras, inputs, outputs };
  const constants = constantsOf(source, calls, className.startsWith("ops."));
  return { ...source, weights: checkpoint.weights.get(path) ?? [], constants };
}

/** Numbers among the arguments. One call of an operation may differ from another, so there can be but one. */
function constantsOf(
  layer: Pick<SourceLayer, "path" | "className">,
  calls: readonly CallDescription[],
  isOperation: boolean,
): SourceLayer["constants"] {
  if (!isOperation) return [];
  if (calls.length > 1) refuse(layer, "has no layer for an operation that is called twice");
  const [call] = calls;
  const given = [...(call?.args ?? []), ...Object.values(call?.kwargs ?? {})];
  return given.flatMap((argument, position) =>
    argument.kind === "value" && typeof argument.value !== "string"
      ? [{ position, value: argument.value }]
      : [],
  );
}

function addWeights(translation: Translation, layer: SourceLayer, step: TfjsStep, name: string): void {
  for (const { name: weight, dtype } of layer.weights) {
    if (weight.startsWith("lora_")) refuse(layer, "has no LoRA");
    if (!dtype.includes("float") || /_(scale|zero)$/.test(weight)) refuse(layer, "has no quantized weights");
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
  const { entries } = emitted.get(layer.name)!;
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
              ? [entries[read.step]!.name, callIndex, 0]
              : (inputs[read.input] ?? missing(prefix, layer)),
          )
        : inputs;
      return sources.map((source) => [...source, {}]);
    }),
  }));
}

function missing(prefix: string, layer: LayerDescription): never {
  throw new TopologyError(
    `${prefix}${layer.name}: ${layer.className}: expected another input, got none.`,
    "malformed",
  );
}

/** `[layer, call, output]`; a nested model's calls count from 1, the first being the one that made it. */
function reference(
  tensor: TensorName,
  emitted: ReadonlyMap<string, Emitted>,
): readonly [string, number, number] {
  const { output, isModel } = emitted.get(tensor.layer)!;
  return [output, isModel ? tensor.call + 1 : tensor.call, tensor.output];
}

/** Shapes at the first call of each layer. */
function callShapes(graph: LayerGraph): ReadonlyMap<string, Shapes> {
  const shapes = new Map<string, Shapes>();
  for (const node of graph.nodes) {
    if (shapes.has(node.layer)) continue;
    const inputs = node.inputs.map((ref) => graph.nodes[ref.node]!.outputs[ref.output]!.shape);
    const outputs = node.outputs.map((output) => output.shape);
    const known = [...inputs, ...outputs].every((shape) => shape !== null);
    if (known) shapes.set(node.layer, { inputs: inputs as Shape[], outputs: outputs as Shape[] });
  }
  return shapes;
}
