import type { RandomStream } from "../random.ts";
import type { LayerGraph } from "../topology/layer-graph.ts";

/** Seeds for one call at one step: the same run, step and call draw the same numbers. */
export function randomStream(seed: number, step: number, call: number): RandomStream {
  let counter = 0;
  return {
    nextSeed: () => mix(mix(mix(mix(seed) ^ step) ^ call) ^ counter++) >>> 1,
  };
}

/**
 * A number for each node of the graph, from its layer's path and how many calls of that layer come before: a rewrite that keeps
 * the layer keeps it.
 */
export function callNumbers({ nodes }: LayerGraph): readonly number[] {
  const calls = new Map<string, number>();
  return nodes.map(({ layer }) => {
    const call = calls.get(layer) ?? 0;
    calls.set(layer, call + 1);
    return Array.from(layer).reduce((hash, letter) => mix(hash ^ letter.codePointAt(0)!), mix(call));
  });
}

/** The finalizer of MurmurHash3, a bijection of 32-bit integers. */
function mix(value: number): number {
  let hash = (value + 0x9e3779b9) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
