import type { Checkpoint, CheckpointFormat, PreprocessMode, Weight } from "../checkpoint.ts";
import type { Shape } from "../tensor.ts";
import { elementCount } from "../tensor.ts";
import { layerGraph } from "../topology/build-graph.ts";
import { type GraphLayer, type LayerGraph, tensorAt } from "../topology/layer-graph.ts";
import type { WeightSpec } from "../topology/layer-spec.ts";
import { stagesOf } from "../topology/stages.ts";
import { weightSpecsOf } from "../topology/weights-of.ts";

/** A layer of an inspected model. */
export interface InspectedLayer {
  readonly path: string;
  readonly className: string;
  /** Name of its stage, which `--freeze-until` accepts; null if it belongs to none. */
  readonly stage: string | null;
  readonly parameters: number;
  /** Shape of the first output of the layer's first call, null if unknown. */
  readonly outputShape: Shape | null;
  /** True if the `trainable` flags in the file of the layer and of all models around it are true. */
  readonly trainable: boolean;
}

/** A stage of an inspected model: a group of layers that a user can name, such as `conv4` or `head`. */
export interface InspectedStage {
  readonly name: string;
  readonly layers: number;
  readonly parameters: number;
  /** Path of the stage's first layer with weights, which is the first to train under `--freeze-until <name>`. */
  readonly firstWeighted: string | null;
  /** Number of parameters before the stage, which `--freeze-until <name>` freezes. */
  readonly frozenBefore: number;
}

/** Layers, stages and parameters of a model file as plain values, as `finetune inspect --json` prints them. */
export interface Inspection {
  readonly name: string;
  readonly format: CheckpointFormat;
  readonly kerasVersion: string;
  readonly inputs: readonly { readonly name: string; readonly shape: Shape | null }[];
  readonly outputs: readonly { readonly name: string; readonly shape: Shape | null }[];
  /** Layers in `model.layers` order, nested models flattened in place. */
  readonly layers: readonly InspectedLayer[];
  readonly stages: readonly InspectedStage[];
  /** Number of parameters as `model.count_params()` counts them. Moving statistics are never trainable. */
  readonly parameters: { readonly total: number; readonly trainable: number };
  /**
   * Class names, preprocessing and image size (`[height, width]`) that an earlier run noted in the file, null if none
   * did.
   */
  readonly labels: readonly string[] | null;
  readonly preprocess: PreprocessMode | null;
  readonly imageSize: readonly [number, number] | null;
}

/**
 * Returns the layers, stages and parameters of a checkpoint, and what an earlier run noted in it. The weights' values
 * are not read.
 * @throws {TopologyError} if the config does not describe a model.
 * @example
 * ```ts
 * const { stages } = inspect(await readCheckpoint("resnet50.h5", { weights: false }));
 * for (const { name, frozenBefore } of stages) console.log(name, frozenBefore);
 * ```
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
    shape: tensorAt(graph, ref).shape,
  }));
}
