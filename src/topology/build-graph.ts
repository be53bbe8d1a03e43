import type { Checkpoint, JsonObject } from "../checkpoint.ts";
import { registrationCount } from "./custom-layers.ts";
import type { ModelDescription, NamedArgument } from "./dialects/description.ts";
import { tensorNamesIn } from "./dialects/description.ts";
import { readModel } from "./dialects/read-model.ts";
import type { GraphEndpoint, LayerGraph, ModelLayers, TensorRef } from "./layer-graph.ts";
import { outputSpecs } from "./layer-specs.ts";
import { modelCalls } from "./model-calls.ts";

/**
 * Builds the graph of a model: its layers, their calls on tensors, and the shapes of all outputs, in Keras 3's
 * vocabulary for files of every version of Keras. The weights are not needed. A layer class that is not known stays in
 * the graph with unknown output shapes until `registerLayer` has made it known; what computes the model refuses it. The
 * graph of a config is built once and shared: do not modify it.
 * @throws {TopologyError} naming the layer whose entry, inputs or shapes are invalid.
 * @example
 * ```ts
 * const graph = layerGraph(await readCheckpoint("resnet50.h5"));
 * const convolutions = graph.layers.filter((layer) => layer.className === "Conv2D");
 * ```
 */
export function layerGraph(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): LayerGraph {
  const { modelConfig, kerasVersion } = checkpoint;
  const known = built.get(modelConfig);
  const registrations = registrationCount();
  if (known?.kerasVersion === kerasVersion && known.registrations === registrations) return known.graph;
  const graph = buildGraph(checkpoint);
  built.set(modelConfig, { kerasVersion, registrations, graph });
  return graph;
}

interface BuiltGraph {
  readonly kerasVersion: string;
  /** Number of classes that were registered when the graph was built. */
  readonly registrations: number;
  readonly graph: LayerGraph;
}

/**
 * Graphs by the config that they were built from. A run needs the same graph many times, and both are immutable values.
 */
const built = new WeakMap<JsonObject, BuiltGraph>();

function buildGraph(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): LayerGraph {
  const model = readModel(checkpoint);
  const { layers, nodes, inputs, outputs } = modelCalls(model, outputSpecs);
  return {
    name: model.name,
    layers,
    nodes,
    inputs: endpoints(model.inputs, inputs),
    outputs: outputNames(model.outputs).flatMap((name, index): GraphEndpoint[] => {
      const ref = outputs[index];
      return ref ? [{ name, ref }] : [];
    }),
    models: modelLayers(model, ""),
  };
}

/** Names each input by its InputLayer. */
function endpoints(names: NamedArgument, refs: readonly TensorRef[]): GraphEndpoint[] {
  const tensors = tensorNamesIn(names);
  return refs.flatMap((ref, index) => {
    const name = tensors[index]?.layer;
    return name === undefined ? [] : [{ name, ref }];
  });
}

/**
 * Returns the names of a model's outputs: their keys if the model returns a dict, else the names of their layers. A
 * repeated name gets a number.
 */
function outputNames(outputs: NamedArgument): string[] {
  const names = namesIn(outputs, undefined);
  return names.map((name, index) => {
    const before = names.slice(0, index).filter((other) => other === name).length;
    return before === 0 ? name : `${name}_${before}`;
  });
}

function namesIn(outputs: NamedArgument, key: string | undefined): string[] {
  const within = (part: string | number): string | undefined =>
    key === undefined ? undefined : `${key}/${part}`;
  switch (outputs.kind) {
    case "tensor":
      return [key ?? outputs.tensor.layer];
    case "value":
      return [];
    case "list":
      return outputs.items.flatMap((item, index) => namesIn(item, within(index)));
    case "record":
      return Object.entries(outputs.entries)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([name, item]) => namesIn(item, within(name) ?? name));
  }
}

/**
 * Lists Keras's `model.layers` of the model and of every model nested in it. Operations of Keras 3 and the InputLayer
 * of a Sequential are not in these lists.
 */
function modelLayers(model: ModelDescription, path: string): ModelLayers[] {
  const listed = model.layers.filter(
    ({ className, keras }) =>
      (model.kind === "functional" || className !== "InputLayer") &&
      !(keras === 3 && className.startsWith("ops.")),
  );
  const nested = model.layers.flatMap((layer) =>
    layer.model ? modelLayers(layer.model, path === "" ? layer.name : `${path}/${layer.name}`) : [],
  );
  return [{ path, layers: listed.map((layer) => layer.name) }, ...nested];
}
