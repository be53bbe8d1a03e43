/** @file The order in which the operations of a graph run, as far as it is not left to TensorFlow. */
import type { GraphNode } from "./graph-messages.ts";

/**
 * Nodes of a backward pass that may run beside each other. More would hold more memory, for little: two keep two processors busy while
 * either is in a part of its operation that does not divide.
 */
const atOnce = 4;

/**
 * Returns the nodes with what they wait for. A node that reads nothing of the nodes before it, as what is computed of weights, waits for
 * its turn, and from a position on each waits for one a few places before it. A new shape for values takes no memory and waits for
 * nothing. In a part with loops only those wait that read nothing of the part, for the end of the part before it, so that its loops run
 * beside each other. What waits is not fused.
 * @param starts The positions at which parts begin, ascending.
 */
export function inTurn(
  nodes: readonly GraphNode[],
  from: number,
  starts: readonly number[],
): readonly GraphNode[] {
  const before = new Set<string>();
  let turn: readonly string[] = [];
  let latest: readonly string[] = [];
  return [0, ...starts].flatMap((start, index) => {
    const part = nodes.slice(start, starts[index]);
    const hasLoops = part.some(isOfLoop);
    const own = new Set<string>();
    if (hasLoops) turn = latest.length > 0 ? latest.slice(-1) : turn;
    const turned = part.map((node, place) => {
      const read = node.input.map(nodeOf);
      const isBackward = start + place >= from;
      const earlier = !isBackward ? before : hasLoops ? own : new Set(turn);
      const mayRun =
        isOfLoop(node) ||
        node.op === "Reshape" ||
        turn.length === 0 ||
        read.some((name) => earlier.has(name));
      const waiting = mayRun ? [] : turn.filter((name) => !read.includes(name)).map((name) => `^${name}`);
      before.add(node.name);
      own.add(node.name);
      if (!hasLoops && node.op !== "Reshape") {
        const isFirst = latest.length === 0;
        latest = [...latest, node.name].slice(-atOnce);
        if (isFirst || latest.length === atOnce) turn = latest.slice(0, 1);
      }
      return waiting.length === 0 ? node : { ...node, input: [...node.input, ...waiting] };
    });
    if (hasLoops) [turn, latest] = [endsOf(part), []];
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
