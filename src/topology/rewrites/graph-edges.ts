import type { GraphNode, LayerGraph, TensorRef } from "../layer-graph.ts";
import { refKey, tensorsIn } from "../layer-graph.ts";

/** Every tensor that a call reads, masks and initial states included. */
export function everyRead(node: GraphNode): readonly TensorRef[] {
  return [...node.args, ...Object.values(node.kwargs)].flatMap(tensorsIn);
}

/** Who reads what. */
export interface GraphEdges {
  /** The calls that read a tensor, each once, in node order; a mask or a state is a read like any other. */
  readonly readers: (ref: TensorRef) => readonly GraphNode[];
  /** The calls of the layer at this path, in node order. */
  readonly calls: (path: string) => readonly GraphNode[];
  /** Whether the model gives this tensor out. */
  readonly isOutput: (ref: TensorRef) => boolean;
}

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
