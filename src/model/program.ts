import type { GraphNode, LayerGraph, TensorRef } from "../topology/layer-graph.ts";
import { refKey, tensorsIn } from "../topology/layer-graph.ts";

/** A part of a layer graph in running order, with the last read of each of its tensors. */
export interface Program {
  readonly graph: LayerGraph;
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly TensorRef[];
  readonly outputs: readonly TensorRef[];
  /** The keys of the tensors that nobody reads after a node, by its position in the running order. */
  readonly lastReadAt: readonly (readonly string[])[];
}

/**
 * Selects the nodes that lead from `inputs` to `outputs`. It is a programming error if `outputs` need a tensor that
 * neither `inputs` nor a node provides.
 */
export function programBetween(
  graph: LayerGraph,
  inputs: readonly TensorRef[],
  outputs: readonly TensorRef[],
): Program {
  const given = new Set(inputs.map(refKey));
  const needed = new Set<number>();
  const pending = outputs.filter((ref) => !given.has(refKey(ref)));
  for (let ref = pending.pop(); ref; ref = pending.pop()) {
    if (needed.has(ref.node)) continue;
    needed.add(ref.node);
    pending.push(...readsOf(graph.nodes[ref.node]!).filter((input) => !given.has(refKey(input))));
  }
  const nodes = graph.nodes.filter((node) => needed.has(node.index));
  return { graph, nodes, inputs, outputs, lastReadAt: lastReads(nodes, outputs) };
}

/** Returns the whole model, from its inputs to its outputs. */
export function wholeProgram(graph: LayerGraph): Program {
  return programBetween(
    graph,
    graph.inputs.map((input) => input.ref),
    graph.outputs.map((output) => output.ref),
  );
}

/**
 * Returns every tensor that a call reads: its inputs, then the masks and initial states among its keyword arguments.
 */
export function readsOf(node: GraphNode): readonly TensorRef[] {
  const keyword = ["mask", "initial_state"].flatMap((name) => {
    const given = node.kwargs[name];
    return given ? tensorsIn(given) : [];
  });
  return keyword.length === 0 ? node.inputs : [...node.inputs, ...keyword];
}

function lastReads(nodes: readonly GraphNode[], outputs: readonly TensorRef[]): string[][] {
  const kept = new Set(outputs.map(refKey));
  const lastPosition = new Map<string, number>();
  nodes.forEach((node, position) => {
    node.outputs.forEach((_, output) => {
      lastPosition.set(refKey({ node: node.index, output }), position);
    });
    for (const ref of readsOf(node)) lastPosition.set(refKey(ref), position);
  });
  const releases: string[][] = nodes.map(() => []);
  for (const [key, position] of lastPosition) if (!kept.has(key)) releases[position]!.push(key);
  return releases;
}
