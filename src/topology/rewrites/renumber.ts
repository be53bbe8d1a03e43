import type { Argument, GraphLayer, GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { refKey } from "../layer-graph.ts";

/** A graph between two states: `index` of a node is any number of its own, and references are to that. */
export interface GraphDraft {
  /** In running order. */
  readonly nodes: readonly GraphNode[];
  readonly layers: readonly GraphLayer[];
  /** Where the readers of a node that is gone now read; the model's inputs and outputs follow too. */
  readonly redirect: (ref: TensorRef) => TensorRef;
}

export interface RenumberedGraph {
  readonly graph: LayerGraph;
  /** A tensor of the graph before, in the graph after; one that is gone, as what stands in for it. */
  readonly moved: (ref: TensorRef) => TensorRef;
}

/** The draft as a graph: nodes numbered in running order, layers that lost their last call gone. */
export function renumbered(graph: LayerGraph, draft: GraphDraft): RenumberedGraph {
  const position = new Map(draft.nodes.map((node, index) => [node.index, index] as const));
  const moved = (ref: TensorRef): TensorRef => {
    const { node, output } = draft.redirect(ref);
    const index = position.get(node);
    if (index === undefined) throw new Error(`graph rewrite: node ${node} is gone and still read`);
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

/** The same call reading `change(ref)` wherever it read `ref`. */
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

/** Follows `next` from `ref` to its end: past a chain of nodes that are gone. */
export function followed(next: ReadonlyMap<string, TensorRef>, ref: TensorRef): TensorRef {
  let current = ref;
  for (let step = next.get(refKey(ref)); step; step = next.get(refKey(current))) current = step;
  return current;
}
