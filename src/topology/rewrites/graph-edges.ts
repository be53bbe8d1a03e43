import type { GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { refKey, tensorsIn } from "../layer-graph.ts";

/** Lists every tensor that a call reads, including masks and initial states. */
export function everyRead(node: GraphNode): readonly TensorRef[] {
  return [...node.args, ...Object.values(node.kwargs)].flatMap(tensorsIn);
}

/** Edges of a graph. */
export interface GraphEdges {
  /** Returns the calls that read a tensor, each once, in order, including as a mask or state. */
  readonly readers: (ref: TensorRef) => readonly GraphNode[];
  /** Returns the calls of the layer at a path, in order. */
  readonly calls: (path: string) => readonly GraphNode[];
  /** Returns whether a tensor is an output of the model. */
  readonly isOutput: (ref: TensorRef) => boolean;
}

/** Indexes the edges of a graph. */
export function graphEdges(graph: Pick<LayerGraph, "nodes" | "outputs">): GraphEdges {
  const readers = new Map<string, GraphNode[]>();
  const calls = new Map<string, GraphNode[]>();
  for (const node of graph.nodes) {
    append(calls, node.layer, node);
    for (const key of new Set(everyRead(node).map(refKey))) append(readers, key, node);
  }
  const outputs = new Set(graph.outputs.map((output) => refKey(output.ref)));
  return {
    readers: (ref) => readers.get(refKey(ref)) ?? [],
    calls: (path) => calls.get(path) ?? [],
    isOutput: (ref) => outputs.has(refKey(ref)),
  };
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}
