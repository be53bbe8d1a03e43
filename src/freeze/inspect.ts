import type { Checkpoint, PreprocessMode, Weight } from "../checkpoint.ts";
import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import type { GraphLayer, LayerGraph } from "../topology/layer-graph.ts";
import type { WeightSpec } from "../topology/layer-spec.ts";
import { stagesOf } from "../topology/stages.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";

export interface InspectedLayer {
  readonly path: string;
  readonly className: string;
  /** A name that `--freeze-until` takes; null where the layer belongs to none. */
  readonly stage: string | null;
  readonly parameters: number;
  /** Of the layer's first call and first output, null where it is not known. */
  readonly outputShape: Shape | null;
  /** The flag in the file and those of the models around the layer. */
  readonly trainable: boolean;
}

export interface InspectedStage {
  readonly name: string;
  readonly layers: number;
  readonly parameters: number;
  /** The first layer of the stage that has weights: the first to train under `--freeze-until <name>`. */
  readonly firstWeighted: string | null;
  /** What is frozen under `--freeze-until <name>`: parameters of all layers before the stage's first. */
  readonly frozenBefore: number;
}

/** What a model file says about itself. Plain values, as `finetune inspect --json` prints them. */
export interface Inspection {
  readonly name: string;
  readonly format: string;
  readonly kerasVersion: string;
  readonly inputs: readonly { readonly name: string; readonly shape: Shape | null }[];
  readonly outputs: readonly { readonly name: string; readonly shape: Shape | null }[];
  /** In `model.layers` order, nested models flattened in place. */
  readonly layers: readonly InspectedLayer[];
  readonly stages: readonly InspectedStage[];
  /** As `model.count_params()`; moving statistics are never trainable. */
  readonly parameters: { readonly total: number; readonly trainable: number };
  readonly labels: readonly string[] | null;
  readonly preprocess: PreprocessMode | null;
  readonly imageSize: readonly [number, number] | null;
}

/**
 * What the checkpoint holds: layers, stages, parameters, and what an earlier run noted in it.
 * @throws {TopologyError} where the config makes no graph.
 */
export function inspect(checkpoint: Checkpoint): Inspection {
  const graph = layerGraph(checkpoint);
  const stages = stagesOf(graph);
  const specs = weightSpecsOf(graph);
  const shapes = outputShapes(graph);
  const layers = graph.layers.map(
    (layer): InspectedLayer => ({
      path: layer.path,
      className: layer.className,
      stage: stages.labelOf(layer.path),
      parameters: countOf(checkpoint.weights.get(layer.path) ?? []),
      outputShape: shapes.get(layer.path) ?? null,
      trainable: layer.trainable,
    }),
  );
  const trainable = graph.layers.reduce(
    (sum, layer) =>
      sum + trainableCount(layer, checkpoint.weights.get(layer.path) ?? [], specs.get(layer.path)),
    0,
  );
  const { labels = null, preprocess = null, imageSize = null } = checkpoint.notes;
  return {
    name: graph.name,
    format: checkpoint.format,
    kerasVersion: checkpoint.kerasVersion,
    inputs: endpoints(graph, graph.inputs),
    outputs: endpoints(graph, graph.outputs),
    layers,
    stages: stages.labels.map((name) => inspectedStage(name, layers)),
    parameters: { total: layers.reduce((sum, layer) => sum + layer.parameters, 0), trainable },
    labels,
    preprocess,
    imageSize,
  };
}

function inspectedStage(name: string, layers: readonly InspectedLayer[]): InspectedStage {
  const own = layers.filter((layer) => layer.stage === name);
  const first = layers.findIndex((layer) => layer.stage === name);
  const sum = (some: readonly InspectedLayer[]) => some.reduce((total, layer) => total + layer.parameters, 0);
  return {
    name,
    layers: own.length,
    parameters: sum(own),
    firstWeighted: own.find((layer) => layer.parameters > 0)?.path ?? null,
    frozenBefore: sum(layers.slice(0, first)),
  };
}

function trainableCount(
  layer: GraphLayer,
  weights: readonly Weight[],
  specs: readonly WeightSpec[] | undefined,
): number {
  if (!layer.trainable) return 0;
  const fixed = new Set(specs?.filter((spec) => !spec.trainable).map((spec) => spec.name));
  return countOf(weights.filter((weight) => !fixed.has(weight.name)));
}

function countOf(weights: readonly Weight[]): number {
  return weights.reduce((sum, weight) => sum + elementCount(weight.shape), 0);
}

function outputShapes(graph: LayerGraph): ReadonlyMap<string, Shape | null> {
  const shapes = new Map<string, Shape | null>();
  for (const node of graph.nodes) {
    if (!shapes.has(node.layer)) shapes.set(node.layer, node.outputs[0]?.shape ?? null);
  }
  return shapes;
}

function endpoints(graph: LayerGraph, ends: LayerGraph["inputs"]): Inspection["inputs"] {
  return ends.map(({ name, ref }) => ({
    name,
    shape: graph.nodes[ref.node]!.outputs[ref.output]!.shape,
  }));
}
