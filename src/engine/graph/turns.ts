/** @file The order in which the operations of a graph run, as far as it is not left to TensorFlow. */
import type { GraphNode } from "./graph-messages.ts";

/**
 * Returns the nodes with what they wait for. A node that reads nothing of the nodes before it, as what is computed of weights, waits for
 * its turn, and from a position on each waits for the one before it. In a part with loops only those wait that read nothing of the part,
 * for the end of the part before it, so that its loops run beside each other. What waits is not fused.
 * @param starts The positions at which parts begin, ascending.
 */
export function inTurn(
  nodes: readonly GraphNode[],
  from: number,
  starts: readonly number[],
): readonly GraphNode[] {
  const before = new Set<string>();
  let turn: readonly string[] = [];
  return [0, ...starts].flatMap((start, index) => {
    const part = nodes.slice(start, starts[index]);
    const hasLoops = part.some(isOfLoop);
    const own = new Set<string>();
    const turned = part.map((node, place) => {
      const read = node.input.map(nodeOf);
      const isBackward = start + place >= from;
      const earlier = !isBackward ? before : hasLoops ? own : new Set(turn);
      const mayRun = isOfLoop(node) || turn.length === 0 || read.some((name) => earlier.has(name));
      const waiting = mayRun ? [] : turn.filter((name) => !read.includes(name)).map((name) => `^${name}`);
      before.add(node.name);
      own.add(node.name);
      if (!hasLoops) turn = [node.name];
      return waiting.length === 0 ? node : { ...node, input: [...node.input, ...waiting] };
    });
    if (hasLoops) turn = endsOf(part);
    return turned;
  });
}

/** Returns true for a node of a loop, which cannot wait for a node outside of it. */
function isOfLoop({ from }: GraphNode): boolean {
  return from !== undefined;
}

/** Returns the names of the nodes outside of loops that no other node of theirs reads. */
function endsOf(part: readonly GraphNode[]): readonly string[] {
  const read = new Set(part.flatMap(({ input }) => input.map(nodeOf)));
  return part.flatMap((node) => (isOfLoop(node) || read.has(node.name) ? [] : [node.name]));
}

/** Returns the name of the node that a value comes from. */
function nodeOf(value: string): string {
  return value.replace(/:.*/, "");
}
