import type { Json, JsonObject } from "../checkpoint.ts";
import type { ElementType, Shape } from "../tensor.ts";

/** Reference to a tensor: one output of one call. */
export interface TensorRef {
  /** Index of the call in `LayerGraph.nodes`. */
  readonly node: number;
  /** Index of the output. */
  readonly output: number;
}

/** Argument of a call: a tensor of the graph, a constant, or a nested list or record of these. */
export type Argument =
  | { readonly kind: "tensor"; readonly ref: TensorRef }
  | { readonly kind: "value"; readonly value: Json }
  | { readonly kind: "list"; readonly items: readonly Argument[] }
  | { readonly kind: "record"; readonly entries: Readonly<Record<string, Argument>> };

/** Shape and dtype of a tensor. */
export interface TensorSpec {
  /**
   * Shape, whose unknown dimensions are null (usually the batch); null as a whole after a layer that is not supported.
   */
  readonly shape: Shape | null;
  readonly dtype: ElementType;
}

/** Major version of Keras. */
export type KerasMajor = 1 | 2 | 3;

/** A layer of a model or of a model nested in it. A nested model itself (a container) is not a layer. */
export interface GraphLayer {
  /** Path of the layer: its name (`conv1_conv`), in a nested model `resnet50/conv1_conv`. */
  readonly path: string;
  readonly name: string;
  /** Class name in Keras 3 (`Conv2D`); `ops.Add` for an operation of keras.ops. */
  readonly className: string;
  /** Config in Keras 3's vocabulary, complete with defaults for all arguments that the layer's spec knows. */
  readonly config: JsonObject;
  /** Version of Keras that wrote the file, whose semantics apply (hard_sigmoid, GRU, defaults). */
  readonly keras: KerasMajor;
  /** True if the layer's own `trainable` flag and those of all its containers are true. */
  readonly trainable: boolean;
  /** Paths of the nested models that contain it, outermost first. */
  readonly containers: readonly string[];
  /** Position in `LayerGraph.layers`. */
  readonly index: number;
}

/** One call of a layer. A shared layer has several calls. */
export interface GraphNode {
  /** Position in `LayerGraph.nodes`. */
  readonly index: number;
  /** Path of the called layer. */
  readonly layer: string;
  readonly args: readonly Argument[];
  readonly kwargs: Readonly<Record<string, Argument>>;
  /** Tensors in `args` and then in `kwargs`, except for `mask` and `initial_state`, in order. */
  readonly inputs: readonly TensorRef[];
  readonly outputs: readonly TensorSpec[];
}

/** Input or output of a model. */
export interface GraphEndpoint {
  /** Name of the InputLayer, or of the layer whose output it is. */
  readonly name: string;
  readonly ref: TensorRef;
}

/**
 * A model as calls of layers on tensors, in Keras 3's vocabulary and with nested models resolved. `layers` has the
 * order of Keras's `model.layers`, nested models flattened in place. `nodes` is sorted so that every tensor is computed
 * before it is read. InputLayers of the outermost model are layers and nodes; those of nested models are neither.
 */
export interface LayerGraph {
  readonly name: string;
  readonly layers: readonly GraphLayer[];
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly GraphEndpoint[];
  readonly outputs: readonly GraphEndpoint[];
  /**
   * Layers of the outermost model and of every nested one as Keras lists them; absent if the graph was not read from a
   * config.
   */
  readonly models?: readonly ModelLayers[];
  /** Penalties that activity regularizers add to the loss, in a graph that was made for training. */
  readonly activityPenalties?: ActivityPenalties;
}

/** Penalties of activity regularizers. */
export interface ActivityPenalties {
  /**
   * A tensor of shape `[batch, 1]`, the penalty of each sample, for each call of a layer with an activity regularizer.
   */
  readonly refs: readonly TensorRef[];
  /** Reduction over the batch: whether Keras divides by its size depends on the version. */
  readonly reduction: "mean" | "sum";
}

/**
 * Keras's `model.layers` of one model. A nested model counts as one layer. The list has the InputLayers of a functional
 * model but not that of a Sequential, and no operations.
 */
export interface ModelLayers {
  /** Path of the model, `""` for the outermost one. */
  readonly path: string;
  /** Names of the layers within the model. */
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

/** Returns the shape and dtype of a tensor. @throws {Error} if no call returns it, which is a programming error. */
export function tensorAt(graph: Pick<LayerGraph, "nodes">, ref: TensorRef): TensorSpec {
  const tensor = nodeAt(graph, ref.node).outputs[ref.output];
  if (!tensor) throw new Error(`layer graph: no tensor ${refKey(ref)}`);
  return tensor;
}

/** Lists the tensors in an argument, depth first and with sorted record keys, as Keras flattens structures. */
export function tensorsIn(argument: Argument): readonly TensorRef[] {
  switch (argument.kind) {
    case "tensor":
      return [argument.ref];
    case "value":
      return [];
    case "list":
      return argument.items.flatMap(tensorsIn);
    case "record":
      return Object.entries(argument.entries)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([, entry]) => tensorsIn(entry));
  }
}

/** Returns a string that identifies a tensor, for use as a key. */
export function refKey(ref: TensorRef): string {
  return `${ref.node}:${ref.output}`;
}

/** Returns a new map of the layers by their paths, which the caller may modify. */
export function layersByPath({ layers }: Pick<LayerGraph, "layers">): Map<string, GraphLayer> {
  return new Map(layers.map((layer) => [layer.path, layer]));
}

/** Returns the layer at `path` of such a map. @throws {Error} if there is none, which is a programming error. */
export function layerIn(layers: ReadonlyMap<string, GraphLayer>, path: string): GraphLayer {
  const layer = layers.get(path);
  if (!layer) throw new Error(`layer graph: no layer at path ${path}`);
  return layer;
}

/** Lists the tensors from which the loss is computed: the model's outputs and then its activity penalties. */
export function lossInputs({ outputs, activityPenalties }: LayerGraph): readonly TensorRef[] {
  return [...outputs.map((output) => output.ref), ...(activityPenalties?.refs ?? [])];
}
