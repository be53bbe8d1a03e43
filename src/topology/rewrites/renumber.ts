import type { Argument, GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { refKey } from "../layer-graph.ts";

/** A graph that is being rewritten. The `index` of a node is any unique number, to which references refer. */
export interface GraphDraft {
  /** Calls in the order of computation. */
  readonly nodes: readonly GraphNode[];
  readonly layers: readonly GraphLayer[];
  /** Returns the tensor that replaces one of a removed node, for readers and for the model's inputs and outputs. */
  readonly redirect: (ref: TensorRef) => TensorRef;
}

/** A rewritten graph. */
export interface RenumberedGraph {
  readonly graph: LayerGraph;
  /** Maps a tensor of the original graph to the new graph, a removed one to its replacement. */
  readonly moved: (ref: TensorRef) => TensorRef;
}

/** Turns a draft into a graph: numbers the nodes in order and removes layers that lost their last call. */
export function renumbered(graph: LayerGraph, draft: GraphDraft): RenumberedGraph {
  const position = new Map(draft.nodes.map((node, index) => [node.index, index] as const));
  const moved = (ref: TensorRef): TensorRef => {
    const { node, output } = draft.redirect(ref);
    const index = position.get(node);
    if (index === undefined) throw new Error(`graph rewrite: node ${node} was removed but is still read`);
    return { node: index, output };
  };
  const nodes = draft.nodes.map((node, index) => ({ ...withReads(node, moved), index }));
  const calledBefore = new Set(graph.nodes.map((node) => node.layer));
  const called = new Set(nodes.map((node) => node.layer));
  const layers = draft.layers.filter((layer) => called.has(layer.path) || !calledBefore.has(layer.path));
  const penalties = graph.activityPenalties;
  const endpoint = (end: LayerGraph["inputs"][number]) => ({ ...end, ref: moved(end.ref) });
  return {
    graph: {
      name: graph.name,
      layers: layers.map((layer, index) => (layer.index === index ? layer : { ...layer, index })),
      nodes,
      inputs: graph.inputs.map(endpoint),
      outputs: graph.outputs.map(endpoint),
      ...(penalties && { activityPenalties: { ...penalties, refs: penalties.refs.map(moved) } }),
    },
    moved,
  };
}

/** Returns a call with `change` applied to every tensor that it reads. */
export function withReads(node: GraphNode, change: (ref: TensorRef) => TensorRef): GraphNode {
  return {
    ...node,
    args: node.args.map((argument) => withTensors(argument, change)),
    kwargs: mapEntries(node.kwargs, (argument) => withTensors(argument, change)),
    inputs: node.inputs.map(change),
  };
}

function withTensors(argument: Argument, change: (ref: TensorRef) => TensorRef): Argument {
  switch (argument.kind) {
    case "tensor":
      return { kind: "tensor", ref: change(argument.ref) };
    case "value":
      return argument;
    case "list":
      return { kind: "list", items: argument.items.map((item) => withTensors(item, change)) };
    case "record":
      return { kind: "record", entries: mapEntries(argument.entries, (entry) => withTensors(entry, change)) };
  }
}

function mapEntries<A, B>(
  record: Readonly<Record<string, A>>,
  change: (value: A) => B,
): Readonly<Record<string, B>> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

/** Follows a chain of replacements from `ref` to its end. */
export function followed(next: ReadonlyMap<string, TensorRef>, ref: TensorRef): TensorRef {
  let current = ref;
  for (let step = next.get(refKey(ref)); step; step = next.get(refKey(current))) current = step;
  return current;
}
