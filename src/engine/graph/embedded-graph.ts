/** @file A graph as a part of another one. */
import type { AttributeMessage, GraphNode } from "./graph-messages.ts";

/** A graph with the names of the nodes that are fed and of the values that a run returns. */
export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly string[];
  readonly results: readonly string[];
}

/**
 * Returns the nodes of a graph under names of their own, which read `given` instead of being fed, and the names of its results.
 * @param name Name of the part; it is the node's `from`.
 */
export function embeddedGraph(
  { nodes, inputs, results }: Graph,
  name: string,
  given: readonly string[],
): Pick<Graph, "nodes" | "results"> {
  const fed = new Map(inputs.map((input, index) => [input, given[index] ?? ""] as const));
  const renamed = (value: string): string => fed.get(value) ?? `${name}/${value}`;
  return {
    nodes: nodes
      .filter((node) => !fed.has(node.name))
      .map((node) => ({
        ...node,
        name: renamed(node.name),
        input: node.input.map(renamed),
        attr: withFrame(node.attr, name),
        from: name,
      })),
    results: results.map(renamed),
  };
}

/** Gives a loop a frame of its own: two loops of one frame would be one. */
function withFrame(attr: GraphNode["attr"], name: string): Readonly<Record<string, AttributeMessage>> {
  return attr["frame_name"] ? { ...attr, frame_name: { s: new TextEncoder().encode(name) } } : attr;
}
