import type { Checkpoint, JsonObject } from "../checkpoint.ts";
import type { ModelDescription } from "./dialects/description.ts";
import { tensorNamesIn } from "./dialects/description.ts";
import { readModel } from "./dialects/read-model.ts";
import type { GraphEndpoint, LayerGraph, ModelLayers } from "./layer-graph.ts";
import { outputSpecs } from "./layer-specs.ts";
import { modelCalls } from "./model-calls.ts";

/**
 * The model's config as calls on tensors, with shapes; pure. Layers without a spec are in it, with unknown shapes behind them:
 * `requireSupported` refuses them. @throws {TopologyError} naming the layer whose entry, inputs or shapes make no sense.
 */
export function layerGraph(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): LayerGraph {
  const { modelConfig, kerasVersion } = checkpoint;
  const known = built.get(modelConfig);
  if (known?.kerasVersion === kerasVersion) return known.graph;
  const graph = buildGraph(checkpoint);
  built.set(modelConfig, { kerasVersion, graph });
  return graph;
}

/** Graphs by the config they were built from: a run asks for the same one many times, and both are values. */
const built = new WeakMap<JsonObject, { readonly kerasVersion: string; readonly graph: LayerGraph }>();

function buildGraph(checkpoint: Pick<Checkpoint, "modelConfig" | "kerasVersion">): LayerGraph {
  const model = readModel(checkpoint);
  const { layers, nodes, inputs, outputs } = modelCalls(model, outputSpecs);
  const inputNames = tensorNamesIn(model.inputs).map((name) => name.layer);
  const outputNames = tensorNamesIn(model.outputs).map((name) => name.layer);
  return {
    name: model.name,
    layers,
    nodes,
    inputs: inputs.map((ref, index): GraphEndpoint => ({ name: inputNames[index]!, ref })),
    outputs: outputs.map((ref, index): GraphEndpoint => ({ name: outputNames[index]!, ref })),
    models: modelLayers(model, ""),
  };
}

/** What Keras's `model.layers` of the model and of each one in it lists: no ops, and no InputLayer of a Sequential. */
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
