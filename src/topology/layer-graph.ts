import type { Json, JsonObject } from "../checkpoint.ts";
import type { ElementType, Shape } from "../tensor.ts";

/** One output of one call. */
export interface TensorRef {
  /** Index into `LayerGraph.nodes`. */
  readonly node: number;
  readonly output: number;
}

/** What a layer or an op is called with: a tensor of the graph, a constant, or a (nested) list or record of these. */
export type Argument =
  | { readonly kind: "tensor"; readonly ref: TensorRef }
  | { readonly kind: "value"; readonly value: Json }
  | { readonly kind: "list"; readonly items: readonly Argument[] }
  | { readonly kind: "record"; readonly entries: Readonly<Record<string, Argument>> };

export interface TensorSpec {
  /** With the batch as null where it is free; null in whole where no spec knows it (an unsupported layer). */
  readonly shape: Shape | null;
  readonly dtype: ElementType;
}

export type KerasMajor = 1 | 2 | 3;

/** A layer of the model, nested ones flattened in place; a container (nested model) is not one. */
export interface GraphLayer {
  /** `conv1_conv`; in a nested model `resnet50/conv1_conv`. */
  readonly path: string;
  readonly name: string;
  /** Keras 3's class name (`Conv2D`); an op of keras.ops is `ops.Add`. */
  readonly className: string;
  /** In Keras 3's vocabulary, every argument that the layer's spec knows present. */
  readonly config: JsonObject;
  /** The Keras that wrote the file: semantics follow it (hard_sigmoid, GRU, defaults). */
  readonly keras: KerasMajor;
  /** Own flag and the flags of all its containers. */
  readonly trainable: boolean;
  /** Paths of the nested models around it, outermost first. */
  readonly containers: readonly string[];
  /** Position in `LayerGraph.layers`. */
  readonly index: number;
}

/** One call of a layer. A shared layer has several. */
export interface GraphNode {
  readonly index: number;
  /** Path of the layer it calls. */
  readonly layer: string;
  readonly args: readonly Argument[];
  readonly kwargs: Readonly<Record<string, Argument>>;
  /** Every tensor in `args`, then in `kwargs` other than `mask` and `initial_state`, in order. */
  readonly inputs: readonly TensorRef[];
  readonly outputs: readonly TensorSpec[];
}

export interface GraphEndpoint {
  /** Name of the InputLayer, or of the layer that gives the output. */
  readonly name: string;
  readonly ref: TensorRef;
}

/**
 * The model as calls on tensors, all dialects and nesting resolved. `layers` is in Keras's `model.layers` order (what a
 * user indexes), nested models flattened in place; `nodes` is in an order in which every tensor comes before its use.
 * InputLayers of the outermost model are layers and nodes; those of nested models are neither.
 */
export interface LayerGraph {
  readonly name: string;
  readonly layers: readonly GraphLayer[];
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly GraphEndpoint[];
  readonly outputs: readonly GraphEndpoint[];
  /** The outermost model and every nested one, as Keras lists their layers; absent in a graph without a config. */
  readonly models?: readonly ModelLayers[];
  /** Of a graph made to train: what its layers' activities add to the loss. */
  readonly activityPenalties?: ActivityPenalties;
}

export interface ActivityPenalties {
  /** One tensor `[batch,1]` for each call of a layer with an activity regularizer: what each sample adds. */
  readonly refs: readonly TensorRef[];
  /** How the loss of a batch takes them: Keras divides by the batch's size, or does not, by its version. */
  readonly reduction: "mean" | "sum";
}

/** What Keras's `model.layers` lists: a nested model as one, a Functional's InputLayers and not a Sequential's, no ops. */
export interface ModelLayers {
  /** `""` for the outermost. */
  readonly path: string;
  /** Names within the model. */
  readonly layers: readonly string[];
}

/** Returns the layer at `path`. @throws {Error} if there is none, which is a programming error. */
export function layerAt(graph: LayerGraph, path: string): GraphLayer {
  const layer = graph.layers.find((candidate) => candidate.path === path);
  if (!layer) throw new Error(`layer graph: no layer at path ${path}`);
  return layer;
}

/** Returns a function that finds a layer by its path in constant time and throws as {@link layerAt} does. */
export function layerLookup(graph: Pick<LayerGraph, "layers">): (path: string) => GraphLayer {
  const layers = layersByPath(graph);
  return (path) => {
    const layer = layers.get(path);
    if (!layer) throw new Error(`layer graph: no layer at path ${path}`);
    return layer;
  };
}

/** Returns the call with this index. @throws {Error} if there is none, which is a programming error. */
export function nodeAt({ nodes }: Pick<LayerGraph, "nodes">, index: number): GraphNode {
  const node = nodes[index];
  if (!node) throw new Error(`layer graph: no call ${index}`);
  return node;
}

/** Returns the shape and dtype of a tensor. @throws {Error} if no call gives it, which is a programming error. */
export function tensorAt(graph: Pick<LayerGraph, "nodes">, ref: TensorRef): TensorSpec {
  const tensor = nodeAt(graph, ref.node).outputs[ref.output];
  if (!tensor) throw new Error(`layer graph: no tensor ${refKey(ref)}`);
  return tensor;
}

/** Every tensor in an argument, depth first, records by sorted key as Keras flattens them. */
export function tensorsIn(argument: Argument): readonly TensorRef[] {
  switch (argument.kind) {
    case "tensor":
      return [argument.ref];
    case "value":
      return [];
    case "list":
      return argument.items.flatMap(tensorsIn);
    case "record":
      return Object.keys(argument.entries)
        .sort()
        .flatMap((key) => tensorsIn(argument.entries[key]!));
  }
}

export function refKey(ref: TensorRef): string {
  return `${ref.node}:${ref.output}`;
}

/** The graph's layers by their paths; a new map, the caller's. */
export function layersByPath({ layers }: Pick<LayerGraph, "layers">): Map<string, GraphLayer> {
  return new Map(layers.map((layer) => [layer.path, layer]));
}

/** What the loss is computed from: the model's outputs, then the penalties of its activities. */
export function lossInputs({ outputs, activityPenalties }: LayerGraph): readonly TensorRef[] {
  return [...outputs.map((output) => output.ref), ...(activityPenalties?.refs ?? [])];
}
